"""Warp's `.tomostar`: which images make a tilt series, at which angle and dose."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from mlit.errors import InputError
from mlit.io.file_names import checked_path
from mlit.io.star import column_numbers, read_star, write_star


@dataclass(frozen=True)
class Tomostar:
    """The tilts of a series in file order, which is that of the tilt angle.

    Attributes
    ----------
    movie_names : tuple of str
        Path of each tilt movie relative to the folder of the `.tomostar`.
    angle_deg : ndarray of float64
        Tilt angle.
    dose : ndarray of float64
        e/Å² before the tilt.
    axis_angle_deg : ndarray of float64 or None
        Direction of the tilt axis; None if the file does not say.
    table : DataFrame
        Every column as text; those that mlit does not know are written back from it.
    """

    movie_names: tuple[str, ...]
    angle_deg: np.ndarray
    dose: np.ndarray
    axis_angle_deg: np.ndarray | None = None
    table: pd.DataFrame = field(repr=False, compare=False, default_factory=pd.DataFrame)

    @property
    def tilts(self) -> int:
        """Number of tilts."""
        return len(self.movie_names)


def read_tomostar(path: Path | str) -> Tomostar:
    """Read a `.tomostar` file.

    Raises
    ------
    InputError
        If the file is absent or damaged, misses a column, or holds a value that is no finite number.
    """
    path = Path(path)
    table = next(iter(read_star(path, "tomostar file").values()))
    if "wrpMovieName" not in table.columns or table.empty:
        raise InputError(f"{path}: lists no tilt movies (column wrpMovieName); import the series again")
    return Tomostar(
        movie_names=tuple(
            checked_path(str(name), f"{path}: row {row}: wrpMovieName")
            for row, name in enumerate(table["wrpMovieName"], start=1)
        ),
        angle_deg=column_numbers(table, "wrpAngleTilt", str(path)),
        dose=column_numbers(table, "wrpDose", str(path)),
        axis_angle_deg=(column_numbers(table, "wrpAxisAngle", str(path)) if "wrpAxisAngle" in table.columns else None),
        table=table,
    )


def write_tomostar(path: Path | str, tomostar: Tomostar) -> None:
    """Write a `.tomostar` file; numbers that have not changed keep their digits.

    Raises
    ------
    InputError
        If the place cannot be written to.
    """
    columns: dict[str, object] = {str(name): tomostar.table[name] for name in tomostar.table.columns}
    written = tomostar.table["wrpMovieName"].tolist() if "wrpMovieName" in columns else []
    if [checked_path(str(name), str(path)) for name in written] != list(tomostar.movie_names):
        columns["wrpMovieName"] = tomostar.movie_names
    numbers = {"wrpAngleTilt": tomostar.angle_deg, "wrpDose": tomostar.dose}
    if tomostar.axis_angle_deg is not None:
        numbers["wrpAxisAngle"] = tomostar.axis_angle_deg
    for name, values in numbers.items():
        if name not in columns or not np.array_equal(column_numbers(tomostar.table, name, str(path)), values):
            columns[name] = values
    write_star(path, {"": pd.DataFrame(columns)})
