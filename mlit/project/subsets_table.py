"""Table of the resolution of parts of the data."""

from pathlib import Path

import pandas as pd

from mlit.io.atomic import atomic_write
from mlit.maps.rosenthal_henderson import RosenthalHenderson
from mlit.maps.subsets import Subsets


def write_subsets(path: Path, subsets: Subsets, line: RosenthalHenderson | None, particles: int) -> None:
    """Write number of particles, resolution, and the resolution that the fitted line expects, of each subset."""
    numbers = [round(share * particles) for share in subsets.share]
    table = pd.DataFrame(
        {
            "particles": numbers,
            "resolution_angstrom": subsets.resolution_angstrom,
            "line_angstrom": [float("nan") if line is None else line.resolution_angstrom(n) for n in numbers],
        }
    )
    with atomic_write(path) as partial:
        table.to_csv(partial, index=False, float_format="%.4f")
