"""RELION 5's particles.star: particles, their optics groups, and general settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from mlit.errors import InputError
from mlit.io.relion5.tilt_series import parse_vector
from mlit.io.star import column_numbers, read_star

NAME = "rlnTomoParticleName"
ODD, EVEN = "rlnOddZernike", "rlnEvenZernike"
MAGNIFICATION = tuple(f"rlnMagMat{i}{j}" for i in (0, 1) for j in (0, 1))


@dataclass(frozen=True)
class RelionParticles:
    """A particle file.

    Attributes
    ----------
    path : Path
        The file.
    blocks : mapping of str to DataFrame
        All tables as text.
    """

    path: Path
    blocks: Mapping[str, pd.DataFrame] = field(repr=False)

    @classmethod
    def read(cls, path: Path | str) -> "RelionParticles":
        """Read a file; raises `InputError` if it is absent, damaged, or has no particles."""
        path = Path(path)
        blocks = read_star(path, "particle file")
        if blocks.get("particles", pd.DataFrame()).empty:
            raise InputError(f"{path}: has no table data_particles with particles; is it a RELION 5 particle file?")
        return cls(path, blocks)

    @property
    def table(self) -> pd.DataFrame:
        """The particles."""
        return self.blocks["particles"]

    @property
    def optics(self) -> pd.DataFrame | None:
        """The optics groups, if there are any."""
        return self.blocks.get("optics")

    def names(self) -> list[str]:
        """Names of the particles, those that RELION gives where the file has none: tomogram/number."""
        if NAME in self.table.columns:
            return [str(name) for name in self.table[NAME]]
        number = self.table.groupby("rlnTomoName").cumcount() + 1
        return [f"{tomogram}/{n}" for tomogram, n in zip(self.table["rlnTomoName"], number, strict=True)]

    def optics_rows(self, rows: np.ndarray) -> list[pd.Series]:
        """Rows of the optics table that some particles belong to, the most frequent first."""
        if self.optics is None or "rlnOpticsGroup" not in self.optics.columns:
            return []
        if "rlnOpticsGroup" not in self.table.columns:
            return [self.optics.iloc[0]] if len(self.optics) == 1 else []
        counts = self.table["rlnOpticsGroup"].iloc[rows].astype(str).value_counts()
        by_group = {str(row["rlnOpticsGroup"]): row for _, row in self.optics.iterrows()}
        return [by_group[str(group)] for group in counts.index if str(group) in by_group]

    def number_of(self, row: pd.Series, column: str) -> float:
        """Value of a numeric column of an optics group."""
        return float(column_numbers(pd.DataFrame([row]), column, f"{self.path}: data_optics")[0])

    def zernike(self, row: pd.Series, column: str) -> np.ndarray:
        """Coefficients of an optics group, float64 "coefficient"; none where there is no such column."""
        if column not in row.index:
            return np.zeros(0)
        return np.array(parse_vector(str(row[column]), f"{self.path}: data_optics: {column}"))

    def has_magnification(self, row: pd.Series) -> bool:
        """Whether an optics group has a matrix of magnification other than one."""
        if any(column not in row.index for column in MAGNIFICATION):
            return False
        matrix = np.array([self.number_of(row, column) for column in MAGNIFICATION])
        return bool(np.abs(matrix - [1, 0, 0, 1]).max() > 1e-6)
