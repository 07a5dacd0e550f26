"""The results of an analysis of half maps, as files."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mlit.errors import InputError
from mlit.io.csv_table import write_csv
from mlit.io.fsc_star import write_fsc_star
from mlit.io.mrc import MrcHeader, write_mrc
from mlit.io.star import write_star
from mlit.maps.directional_fsc import DirectionalFsc
from mlit.maps.filters import GuinierFit
from mlit.maps.postprocessing import LocalMaps, Postprocessed

MAPS = ("map", "map_filtered", "map_sharp", "map_anisotropic", "map_local", "local_resolution", "local_bfactor", "mask")
TABLES = ("fsc.star", "guinier.csv", "directions.csv", "directional_fsc.csv", "local_resolution.star", "summary.json")
BIN_ANGSTROM = 0.25
PERCENTILES = (5, 25, 50, 75, 95)


def refuse_used_folder(folder: Path) -> None:
    """Raise where a result would be written over another file.

    Raises
    ------
    InputError
        Naming the file.
    """
    for name in (*(f"{m}.mrc" for m in MAPS), *TABLES):
        if (folder / name).exists():
            raise InputError(f"output={folder}: holds {name} already; give another folder")


def write_postprocessed(folder: Path, results: Postprocessed, header: MrcHeader) -> None:
    """Write maps, curves and tables; what the half maps do not allow is left out."""
    maps, local = results.maps, results.local
    volumes = {
        "map": maps.average,
        "map_filtered": maps.filtered,
        "map_sharp": maps.sharp,
        "map_anisotropic": results.anisotropic,
        "map_local": None if local is None else local.filtered,
        "local_resolution": None if local is None else local.resolution_angstrom,
        "local_bfactor": None if local is None else -local.decay_angstrom2,
        "mask": results.halves.mask.mask,
    }
    for name, volume in volumes.items():
        if volume is not None:
            write_mrc(folder / f"{name}.mrc", volume.cpu().numpy(), results.halves.pixel_size_angstrom, header)
    write_fsc_star(folder / "fsc.star", results.halves.curves)
    _write_guinier(folder / "guinier.csv", maps.guinier)
    if results.directional is not None:
        _write_directions(folder, results.directional, results.halves.curves.frequency_per_angstrom)
    if local is not None:
        write_star(folder / "local_resolution.star", {"": _histogram(local, results.halves.mask.mask)}, decimals=4)


def figures(results: Postprocessed) -> dict[str, Any]:
    """Figures for the summary; B factors are negative where the map fades, as in RELION."""
    curves, decay = results.halves.curves, results.maps.decay_angstrom2
    fitted = results.maps.guinier.bfactor_angstrom2
    return {
        "resolution_angstrom": curves.resolution_angstrom(),
        "resolution_0.5_angstrom": curves.resolution_angstrom(0.5),
        "significant_resolution_angstrom": results.halves.significant_resolution_angstrom,
        "agree": results.directional is not None,
        "bfactor_angstrom2": None if decay is None else -decay,
        "guinier_bfactor_angstrom2": None if fitted is None else -fitted,
        "mask": {"kind": results.halves.mask.kind, "volume_fraction": results.halves.mask.volume_fraction},
        "anisotropy": None if results.directional is None else _anisotropy(results.directional),
        "local_resolution": None if results.local is None else _local(results.local, results.halves.mask.mask),
    }


def _anisotropy(found: DirectionalFsc) -> dict[str, Any]:
    """Best and worst direction."""
    figures: dict[str, Any] = {"ratio": found.ratio, "chance_angstrom": found.chance_angstrom}
    for name, which in (("best", found.best), ("worst", found.worst)):
        figures[f"{name}_angstrom"] = float(found.resolution_angstrom[which])
        figures[f"{name}_direction"] = [round(value, 4) for value in found.directions[which].tolist()]
    return figures


def _local(local: LocalMaps, mask: Tensor) -> dict[str, float]:
    """Percentiles of the local resolution in the mask."""
    inside = local.resolution_angstrom[mask > 0.5].numpy()
    return {f"percentile_{p}_angstrom": float(np.percentile(inside, p)) for p in PERCENTILES}


def _write_guinier(path: Path, fit: GuinierFit) -> None:
    line = np.full(len(fit.fitted), np.nan)
    if fit.bfactor_angstrom2 is not None and fit.intercept is not None:
        line = fit.intercept - fit.bfactor_angstrom2 / 4 * fit.frequency_squared.numpy()
    rows = zip(fit.frequency_squared.tolist(), fit.log_amplitude.tolist(), fit.fitted.int().tolist(), line, strict=True)
    _write_numbers(path, ("frequency_squared", "log_amplitude", "fitted", "line"), list(rows)[1:])


def _write_directions(folder: Path, found: DirectionalFsc, frequency: Tensor) -> None:
    rows = torch.cat([found.directions, found.resolution_angstrom[:, None]], 1).tolist()
    _write_numbers(folder / "directions.csv", ("x", "y", "z", "resolution_angstrom"), rows)
    names = ("frequency", *(f"fsc_{number}" for number in range(1, len(rows) + 1)))
    table = torch.cat([frequency[:, None], found.curves.T], 1)[1:].tolist()
    _write_numbers(folder / "directional_fsc.csv", names, table)


def _write_numbers(path: Path, columns: Sequence[str], rows: Iterable[Sequence[float]]) -> None:
    write_csv(path, columns, ([f"{value:.8g}" for value in row] for row in rows))


def _histogram(local: LocalMaps, mask: Tensor) -> pd.DataFrame:
    """Voxels of the mask by local resolution, in the columns of M."""
    inside = local.resolution_angstrom[mask > 0.5].numpy()
    low, high = np.floor(inside.min() / BIN_ANGSTROM), np.ceil(inside.max() / BIN_ANGSTROM + 1e-6)
    edges = np.arange(low, max(high, low + 1) + 1) * BIN_ANGSTROM
    counts, _ = np.histogram(inside, edges)
    return pd.DataFrame({"wrpResolution": (edges[:-1] + edges[1:]) / 2, "wrpSamples": counts})
