"""RELION's motion.star: how each particle moves from tilt to tilt."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from mlit.errors import InputError
from mlit.io.star import column_numbers, read_star, write_star

COLUMNS = ("rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst")
GENERAL = "general"
COUNT = "rlnParticleNumber"
DECIMALS = 4


def read_trajectories(path: Path | str) -> dict[str, np.ndarray]:
    """Read the motion of every particle.

    Returns
    -------
    dict of str to ndarray "tilt 3"
        By the name of the particle: what is added to its position in each tilt, in the order of the tilt-series file,
        in Å along the axes of the tomogram.

    Raises
    ------
    InputError
        If the file is absent or damaged.
    """
    path = Path(path)
    blocks = read_star(path, "trajectories file")
    motions = {name: table for name, table in blocks.items() if name != GENERAL}
    return {
        name: np.stack([column_numbers(table, column, f"{path}: data_{name}") for column in COLUMNS], axis=1)
        for name, table in motions.items()
    }


def motion_of(trajectories: Mapping[str, np.ndarray], names: list[str], tilts: int, path: Path) -> np.ndarray:
    """Return the motion of some particles, "particle tilt 3".

    Raises
    ------
    InputError
        If one has no trajectory, or one of another length than the series has tilts.
    """
    for name in names:
        if name not in trajectories:
            raise InputError(f"{path}: has no trajectory of particle {name}; give the file of this particle set")
        if len(trajectories[name]) != tilts:
            raise InputError(
                f"{path}: the trajectory of particle {name} has {len(trajectories[name])} rows, but its series has "
                f"{tilts} tilts; polish again, or leave the trajectories out"
            )
    return np.stack([trajectories[name] for name in names]) if names else np.zeros((0, tilts, 3))


def write_trajectories(path: Path | str, trajectories: Mapping[str, np.ndarray]) -> None:
    """Write the motion of every particle, in the order that RELION has the particles in."""
    general = pd.DataFrame({COUNT: [str(len(trajectories))]}, dtype=object)
    general.attrs["star_list"] = True
    blocks = {GENERAL: general}
    for name, motion in trajectories.items():
        blocks[name] = pd.DataFrame(np.asarray(motion, dtype=np.float64), columns=list(COLUMNS))
    write_star(path, blocks, DECIMALS)
