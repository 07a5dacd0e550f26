"""FSC curves as the STAR table that M writes beside its maps (`*_fsc.star`)."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mlit.errors import InputError
from mlit.io.star import column_numbers, read_star, write_star
from mlit.maps.fsc import FscCurves

CURVES = {
    "wrpFSCUnmasked": "unmasked",
    "wrpFSCRandomized": "randomised",
    "wrpFSCCorrected": "corrected",
    "wrpFSCMasked": "masked",
}


def write_fsc_star(path: Path | str, curves: FscCurves) -> None:
    """Write one row a shell, from shell 1 on: shell 0 has no finite wavelength and says nothing.

    Resolutions are in Å, coarse to fine.
    """
    columns = {"wrpResolution": (1 / curves.frequency_per_angstrom[1:]).cpu().double().numpy()}
    for name, field in CURVES.items():
        columns[name] = getattr(curves, field)[1:].detach().cpu().double().numpy()
    write_star(path, {"": pd.DataFrame(columns)}, decimals=8)


def read_fsc_star(path: Path | str) -> FscCurves:
    """Read what `write_fsc_star` wrote; all curves are one at shell 0, which the file leaves out.

    Raises
    ------
    InputError
        If a column is absent or not numeric, or the resolutions are not those of shells 1, 2, 3 …
    """
    table = next(iter(read_star(path, "FSC table").values()))
    resolution = column_numbers(table, "wrpResolution", str(path))
    shells = np.arange(1, len(resolution) + 1)
    if (
        len(resolution) == 0
        or (resolution <= 0).any()
        or not np.allclose(resolution * shells, resolution[0], rtol=1e-3)
    ):
        raise InputError(f"{path}: wrpResolution is not box size / 1, 2, 3 …; write the table anew")
    frequency = torch.from_numpy(np.concatenate([[0.0], shells / resolution[0]]))
    curves = {
        field: torch.from_numpy(np.concatenate([[1.0], column_numbers(table, name, str(path))])).float()
        for name, field in CURVES.items()
    }
    return FscCurves(frequency, **curves)
