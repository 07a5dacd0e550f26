"""`.tlt`, `.rawtlt`, `.xtilt`: one angle a line, in degrees."""

from pathlib import Path

import numpy as np

from mlit.io.number_lines import fixed, read_rows, write_lines


def read_angles(path: Path | str, kind: str = "tilt-angle file") -> np.ndarray:
    """Return the angles of a file, float64 "tilt"; errors as in `read_rows`."""
    return read_rows(Path(path), kind, 1)[:, 0]


def write_angles(path: Path | str, angle_deg: np.ndarray) -> None:
    """Write angles with IMOD's two decimals, or as many as they need."""
    write_lines(Path(path), [fixed(float(angle), 7, 2) for angle in angle_deg])
