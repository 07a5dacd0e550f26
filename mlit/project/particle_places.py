"""Particles and the series that they lie in."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mlit.errors import InputError
from mlit.io.particle_table import ParticleTable
from mlit.io.series_names import series_key
from mlit.project.selection import shown

_MARGIN_FRACTION = 0.05  # of the longest edge of the volume, where the diameter is not known
FACTORS = (2, 3, 4, 6, 8, 10, 12, 16)  # by which units of coordinates usually are wrong


def match_series(particles: ParticleTable, names: Sequence[str], path: Path) -> ParticleTable:
    """Return the table with series called as the project calls them.

    Names are compared without folders and extensions. Particles of series that the project lacks keep
    their name.

    Raises
    ------
    InputError
        If no particle lies in any series of the project.
    """
    by_key = {series_key(name): name for name in names}
    keys = [str(name) for name in particles.series_name]
    if not any(key in by_key for key in keys):
        seen = list(dict.fromkeys(keys))
        raise InputError(
            f"{path}: no particle lies in a series of the project: the particles name {shown(seen)}, "
            f"the project has {shown(names)}; correct the names"
        )
    return replace(particles, series_name=np.array([by_key.get(key, key) for key in keys], dtype=object))


def check_inside(
    particles: ParticleTable,
    particle_index: np.ndarray,
    volume_size_angstrom: Sequence[float],
    diameter_angstrom: float | None,
    path: Path,
) -> None:
    """Raise unless every particle of a series lies in its volume.

    A centre may lie outside by a diameter, or by 5 % of the longest edge where no diameter is known: picks
    at the rim drift over it. One that is farther out means almost surely that coordinates are in another
    unit, and then all particles of the series are wrong.

    Raises
    ------
    InputError
        Naming the first row.
    """
    size = np.array(volume_size_angstrom, dtype=np.float64)
    margin = _MARGIN_FRACTION * size.max() if diameter_angstrom is None else diameter_angstrom
    position = particles.position_angstrom[particle_index]
    outside = ((position < -margin) | (position > size + margin)).any(axis=(1, 2))
    if not outside.any():
        return
    first = int(np.flatnonzero(outside)[0])
    place = ", ".join(f"{x:.0f}" for x in position[first, 0])
    factor = likely_factor(position.reshape(-1, 3), size)
    hint = (
        "" if factor is None else f"; with a unit {factor} times smaller (data.coordinate_pixel_size_angstrom) all fit"
    )
    raise InputError(
        f"{path}: row {particle_index[first] + 1}: position ({place}) Å lies far outside the volume of "
        f"{' × '.join(f'{x:.0f}' for x in size)} Å ({int(outside.sum())} of {len(position)} particles of the "
        f"series do); check pixel size and binning of the coordinates{hint}"
    )


def likely_factor(position: np.ndarray, size: np.ndarray) -> int | None:
    """Return the smallest usual factor by which positions must shrink to lie inside; None where none is enough.

    Parameters
    ----------
    position : ndarray "particle 3"
        In Å from the corner.
    size : ndarray "3"
        Of the volume in Å.
    """
    if position.min() < 0:
        return None
    reach = float((position / size).max())
    return next((factor for factor in FACTORS if reach <= factor), None)
