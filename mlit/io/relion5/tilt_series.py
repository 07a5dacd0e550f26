"""RELION 5's table of the tilts of one series."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from mlit.errors import InputError
from mlit.io.star import column_numbers, read_star, write_star

IMAGE = "rlnMicrographName"
EXPOSURE = "rlnMicrographPreExposure"
ANGLES = ("rlnTomoXTilt", "rlnTomoYTilt", "rlnTomoZRot")
SHIFTS = ("rlnTomoXShiftAngst", "rlnTomoYShiftAngst")
DEFOCI = ("rlnDefocusU", "rlnDefocusV")
MATRICES = tuple(f"rlnTomoProj{axis}" for axis in "XYZW")
NEEDED = (EXPOSURE, *ANGLES[1:], *SHIFTS, *DEFOCI, "rlnDefocusAngle")


@dataclass(frozen=True)
class TiltTable:
    """Tilts of a series in the order of the file.

    Attributes
    ----------
    path : Path
        The file.
    table : DataFrame
        Every column as text.
    """

    path: Path
    table: pd.DataFrame = field(repr=False)

    @property
    def tilts(self) -> int:
        """Number of tilts."""
        return len(self.table)

    def has(self, column: str) -> bool:
        """Whether there is such a column."""
        return column in self.table.columns

    def numbers(self, column: str, default: float | None = None) -> np.ndarray:
        """Return a numeric column, float64 "tilt"; the default where it is absent.

        Raises
        ------
        InputError
            If a value is no finite number, or the column is absent and there is no default.
        """
        if default is not None and not self.has(column):
            return np.full(self.tilts, default)
        return column_numbers(self.table, column, str(self.path))

    def columns(self, names: tuple[str, ...], default: float | None = None) -> np.ndarray:
        """Return several numeric columns, float64 "tilt column"."""
        return np.stack([self.numbers(name, default) for name in names], axis=1)

    def vectors(self, column: str) -> np.ndarray:
        """Return a column of vectors such as ``[0.1,0.2]``, float64 "tilt entry".

        Raises
        ------
        InputError
            If one is no list of numbers, or they differ in length.
        """
        rows = [parse_vector(str(text), f"{self.path}: row {i + 1}: {column}") for i, text in self._texts(column)]
        if len({len(row) for row in rows}) > 1:
            raise InputError(f"{self.path}: {column}: lists of several lengths; restore the file")
        return np.array(rows)

    def _texts(self, column: str) -> list[tuple[int, str]]:
        return list(enumerate(self.table[column]))


def parse_vector(text: str, where: str) -> list[float]:
    """Return the numbers of a vector as RELION writes it, ``[0.1,0.2]``.

    Raises
    ------
    InputError
        If it is no list of finite numbers.
    """
    inner = text.strip().removeprefix("[").removesuffix("]")
    try:
        values = [float(part) for part in inner.split(",")] if inner.strip() else []
    except ValueError:
        values = [np.nan]
    if not np.isfinite(values).all():
        raise InputError(f"{where} is '{text[:40]}'; a list of numbers in [brackets] is expected")
    return values


def format_vector(values: np.ndarray) -> str:
    """Return numbers as RELION writes a vector."""
    return "[" + ",".join(f"{value:.9g}" for value in values) + "]"


def read_tilt_table(path: Path | str, name: str) -> TiltTable:
    """Read the tilts of a series.

    Parameters
    ----------
    path : Path or str
        The file.
    name : str
        Name of the tomogram; the table is called ``data_`` and this name.

    Raises
    ------
    InputError
        If the file is absent or damaged, lacks the table or a column, has matrices of RELION 4 in place of angles, or
        no tilt.
    """
    path = Path(path)
    table = read_star(path, "tilt-series file").get(name)
    if table is None:
        raise InputError(f"{path}: has no table data_{name}; its name must be that of the tomogram")
    if table.empty:
        raise InputError(f"{path}: lists no tilts; remove the tomogram from the set")
    matrices = [column for column in MATRICES if column in table.columns]
    if matrices:
        raise InputError(
            f"{path}: has projection matrices of RELION 4 ({matrices[0]}); "
            "let RELION 5 replace them by angles (relion_tomo_align), or align the series in RELION 5"
        )
    missing = [column for column in NEEDED if column not in table.columns]
    if missing:
        job = "refine the CTF" if missing[0].startswith("rlnDefocus") else "align the tilt series"
        raise InputError(f"{path}: has no column {missing[0]}; {job} in RELION first")
    return TiltTable(path, table)


def write_tilt_table(path: Path | str, name: str, table: pd.DataFrame) -> None:
    """Write the tilts of a series, values as text."""
    write_star(path, {name: table})
