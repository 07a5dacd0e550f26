"""RELION's optimisation set: which files make a project."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mlit.errors import InputError
from mlit.io.star import read_star, write_star

PARTICLES = "rlnTomoParticlesFile"
TOMOGRAMS = "rlnTomoTomogramsFile"
TRAJECTORIES = "rlnTomoTrajectoriesFile"
HALF_MAPS = ("rlnTomoReferenceMap1File", "rlnTomoReferenceMap2File")
MASK = "rlnTomoReferenceMaskFile"
FSC = "rlnTomoReferenceFscFile"


@dataclass(frozen=True)
class OptimisationSet:
    """An optimisation set.

    Attributes
    ----------
    path : Path
        The file.
    files : mapping of str to str
        Name of each file by its label, as written.
    """

    path: Path
    files: Mapping[str, str]

    def __getitem__(self, label: str) -> str:
        """Name of a file that must be there."""
        if label not in self.files:
            raise InputError(f"{self.path}: names no {label}; add it, or give the file on the command line")
        return self.files[label]

    def get(self, label: str) -> str | None:
        """Name of a file, if there is one."""
        return self.files.get(label)


def read_optimisation_set(path: Path | str) -> OptimisationSet:
    """Read an optimisation set, a list or a table of one row.

    Raises
    ------
    InputError
        If the file is absent, damaged, names nothing, or is a table of several rows.
    """
    path = Path(path)
    table = next(iter(read_star(path, "optimisation set").values()))
    if PARTICLES not in table.columns and TOMOGRAMS not in table.columns:
        raise InputError(f"{path}: names neither {PARTICLES} nor {TOMOGRAMS}; is it an optimisation set?")
    if len(table) != 1:
        raise InputError(f"{path}: has {len(table)} rows; an optimisation set has one")
    values = {str(label): str(table[label].iloc[0]) for label in table.columns}
    return OptimisationSet(path, {label: name for label, name in values.items() if name not in ("", "None")})


def write_optimisation_set(path: Path | str, files: Mapping[str, str]) -> None:
    """Write an optimisation set; names as they shall stand in the file."""
    table = pd.DataFrame({label: [name] for label, name in files.items()}, dtype=object)
    table.attrs["star_list"] = True
    write_star(path, {"": table})
