"""Particle tables of RELION 3.0 to 5, Warp and M; written with M's columns."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mlit.errors import InputError
from mlit.io.half_sets import half_sets
from mlit.io.m_particles import WEIGHT_COLUMN, is_m_table, m_names, m_poses, m_table
from mlit.io.particle_table import ParticleTable
from mlit.io.relion_particles import (
    POSE_COLUMNS,
    RelionScale,
    is_relion_table,
    relion_names,
    relion_poses,
)
from mlit.io.series_names import series_key
from mlit.io.star import column_numbers, read_star, write_star

__all__ = ["ParticleTable", "read_particles", "write_particles"]


def read_particles(
    path: Path | str,
    pixel_size_angstrom: float | Sequence[float] | None = None,
    volume_size_angstrom: Sequence[float] | None = None,
    series_volume_size_angstrom: Mapping[str, Sequence[float]] | None = None,
    coordinate_pixel_size_angstrom: float | None = None,
) -> ParticleTable:
    """Read particles of any of the programs.

    Parameters
    ----------
    path : Path or str
        STAR file.
    pixel_size_angstrom : float or sequence of float, optional
        Pixel size of the tilt series, unbinned and possibly binned. Pixel sizes in the file are checked
        against it, and it is the unit of coordinates where the file does not say.
    volume_size_angstrom : sequence of 3 floats, optional
        Size x, y, z of the volume of every series, for coordinates that count from its centre.
    series_volume_size_angstrom : mapping, optional
        The same for single series, by name.
    coordinate_pixel_size_angstrom : float, optional
        Å per unit of `rlnCoordinate*`, where a person knows better than the file.

    Returns
    -------
    ParticleTable
        Rows in file order, none dropped.

    Raises
    ------
    InputError
        If the file is absent or damaged, or a row holds something impossible; the message names it.
    """
    return particles_from_blocks(
        read_star(path, "particle file"),
        Path(path),
        RelionScale(
            () if pixel_size_angstrom is None else tuple(np.atleast_1d(pixel_size_angstrom).tolist()),
            coordinate_pixel_size_angstrom,
            volume_size_angstrom,
            series_volume_size_angstrom or {},
        ),
    )


def particles_from_blocks(blocks: Mapping[str, pd.DataFrame], path: Path, scale: RelionScale) -> ParticleTable:
    """Return the particles of a file that was read as tables; `read_particles` says more."""
    table = _particle_block(blocks, path)
    where = str(path)
    if is_m_table(table):
        names = m_names(table, where)
        position, euler = m_poses(table, where)
    else:
        names = relion_names(table, where)
        position, euler = relion_poses(table, blocks.get("optics"), scale, where)
    series_name = np.array([series_key(str(name)) for name in names], dtype=object)
    return ParticleTable(
        series_name=series_name,
        position_angstrom=position,
        euler_deg=euler,
        half_set=half_sets(table, series_name, where),
        weight=_weights(table, where),
        source=table,
    )


def write_particles(path: Path | str, table: ParticleTable) -> None:
    """Write all particles in their order with M's column names.

    Half sets, those assigned by mlit too, and the weight (`mlitWeight`) are written; columns of the source
    that mlit does not know follow. Old poses of RELION's columns are left out: they would contradict.

    Raises
    ------
    InputError
        If the place cannot be written to.
    ValueError
        If a pose is not finite.
    """
    write_star(path, {"": m_table(table, POSE_COLUMNS)})


def _particle_block(blocks: Mapping[str, pd.DataFrame], path: Path) -> pd.DataFrame:
    for table in (blocks.get("particles"), *blocks.values()):
        if table is not None and (is_m_table(table) or is_relion_table(table)):
            if table.empty:
                raise InputError(f"{path}: holds no particles; pick or select some")
            return table
    raise InputError(
        f"{path}: no table has particle coordinates (wrpCoordinateX1, rlnCoordinateX or "
        "rlnCenteredCoordinateXAngst); is it a particle file?"
    )


def _weights(table: pd.DataFrame, where: str) -> np.ndarray:
    if WEIGHT_COLUMN not in table.columns:
        return np.ones(len(table))
    weight = column_numbers(table, WEIGHT_COLUMN, where)
    if (weight < 0).any():
        row = int(np.flatnonzero(weight < 0)[0])
        raise InputError(f"{where}: row {row + 1}: {WEIGHT_COLUMN} is {weight[row]:g}; it cannot be negative")
    return weight
