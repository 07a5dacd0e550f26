"""RELION 5's tomograms.star: one row for each tomogram, and what all of its tilts share."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from mlit.errors import InputError
from mlit.io.relion5.deformations import DEFORMATION_COLUMNS
from mlit.io.star import column_numbers, read_star, write_star

BLOCK = "global"
NEEDED = (
    "rlnVoltage",
    "rlnSphericalAberration",
    "rlnAmplitudeContrast",
    "rlnTomoHand",
    "rlnTomoTiltSeriesPixelSize",
)
SIZES = ("rlnTomoSizeX", "rlnTomoSizeY", "rlnTomoSizeZ")
SLOPE = "rlnTomoDefocusSlope"
DOSE_BFACTOR = "rlnCtfBfactorPerElectronDose"


@dataclass(frozen=True)
class Tomogram:
    """One row.

    Attributes
    ----------
    path : Path
        The file.
    row : Series
        Every column of the row as text.
    number : int
        Of the row, from 1.
    """

    path: Path
    row: pd.Series = field(repr=False)
    number: int = 1

    @property
    def name(self) -> str:
        """Name of the tomogram."""
        return str(self.row["rlnTomoName"])

    def text(self, column: str) -> str | None:
        """Value of a column, if there is one."""
        return str(self.row[column]) if column in self.row.index else None

    def number_of(self, column: str, default: float | None = None) -> float:
        """Value of a numeric column.

        Raises
        ------
        InputError
            If it is no number, or absent and there is no default.
        """
        if column not in self.row.index and default is not None:
            return default
        table = pd.DataFrame([self.row]).reset_index(drop=True)
        return float(column_numbers(table, column, f"{self.path}: {self.name}")[0])

    @property
    def pixel_size_angstrom(self) -> float:
        """Of the tilt images."""
        pixel = self.number_of("rlnTomoTiltSeriesPixelSize")
        if pixel <= 0:
            raise InputError(
                f"{self.path}: {self.name}: rlnTomoTiltSeriesPixelSize is {pixel:g}; it must be above zero"
            )
        return pixel

    @property
    def size_px(self) -> np.ndarray:
        """Size x, y, z of the tomogram in pixels of the tilt images, float64 "3"."""
        if any(column not in self.row.index for column in SIZES):
            raise InputError(f"{self.path}: has no {' '.join(SIZES)}; give the set of a job that made tomograms")
        size = np.array([self.number_of(column) for column in SIZES])
        if (size <= 0).any():
            raise InputError(f"{self.path}: {self.name}: tomogram size {size.tolist()} px; it must be above zero")
        return size


def read_tomograms(path: Path | str) -> tuple[Tomogram, ...]:
    """Read the tomograms of a set.

    Raises
    ------
    InputError
        If the file is absent or damaged, lacks a column, or names a tomogram twice.
    """
    path = Path(path)
    table = read_star(path, "tomograms file").get(BLOCK)
    if table is None or table.empty:
        raise InputError(f"{path}: has no table data_{BLOCK} with tomograms; is it a tomograms.star of RELION 5?")
    for column in ("rlnTomoName", "rlnTomoTiltSeriesStarFile", *NEEDED):
        if column not in table.columns:
            hint = "it is of RELION 4: import it into RELION 5" if column == "rlnTomoTiltSeriesStarFile" else "add it"
            raise InputError(f"{path}: has no column {column}; {hint}")
    names = [str(name) for name in table["rlnTomoName"]]
    for number, name in enumerate(names, start=1):
        if name in names[: number - 1]:
            raise InputError(f"{path}: row {number}: tomogram {name} is there twice; remove one")
    return tuple(Tomogram(path, table.iloc[row], row + 1) for row in range(len(table)))


def write_tomograms(path: Path | str, rows: list[dict[str, str]]) -> None:
    """Write tomograms; columns in the order of the first row that has them, none for deformations.

    Where a row lacks a column of another one, ``None`` is written, as RELION does.
    """
    columns = list(dict.fromkeys(column for row in rows for column in row if column not in DEFORMATION_COLUMNS))
    table = pd.DataFrame([[row.get(column, "None") for column in columns] for row in rows], columns=columns)
    write_star(path, {BLOCK: table.astype(object)})
