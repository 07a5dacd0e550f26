"""Exact changes of all poses of a particle table: moved with the map, copied, resampled, thinned."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.spatial import KDTree
from torch import Tensor

from mlit.geometry.rotations import euler_from_matrix, matrix_from_euler
from mlit.geometry.trajectory import continuous_euler, resample_trajectory
from mlit.io.particle_table import ParticleTable
from mlit.maps.rigid_motion import RigidMotion, move_poses
from mlit.project.results import POSE_ERRORS


@dataclass(frozen=True)
class Thinned:
    """A table without duplicates.

    Attributes
    ----------
    table
        The particles that were kept, in their order.
    dropped
        How many were not.
    across_half_sets
        How many of those lay in the other half set than the one kept in their place: both halves held their images.
    """

    table: ParticleTable
    dropped: int
    across_half_sets: int


def moved(table: ParticleTable, motion: RigidMotion) -> ParticleTable:
    """Poses that see the moved map just as the given ones see the map at rest.

    Between samples in time, angles are interpolated one by one: there a rotated trajectory is not exactly the same.
    """
    position, rotation = move_poses(torch.from_numpy(table.position_angstrom), _rotations(table), motion)
    return _posed(table, position, rotation)


def expanded(table: ParticleTable, operators: Float[Tensor, "coset 3 3"]) -> ParticleTable:
    """Copy every particle, one copy below the other, each turned by an operator of the symmetry of the map.

    A copy keeps the half set and the weight of its particle: the halves stay as independent as they were.
    """
    copies = taken(table, np.repeat(np.arange(table.particles), len(operators)))
    rotation = (_rotations(table)[:, None] @ operators[:, None]).flatten(0, 1)
    return _posed(copies, torch.from_numpy(copies.position_angstrom), rotation)


def resampled(table: ParticleTable, samples: int) -> ParticleTable:
    """Trajectories with another number of samples in time, by the interpolation that fits use."""
    if samples == table.samples:
        return table
    euler = continuous_euler(torch.from_numpy(table.euler_deg).deg2rad())
    return replace(
        table,
        position_angstrom=resample_trajectory(torch.from_numpy(table.position_angstrom), samples).numpy(),
        euler_deg=resample_trajectory(euler, samples).rad2deg().numpy(),
        source=_without_errors(table),
    )


def without_duplicates(table: ParticleTable, distance_angstrom: float) -> Thinned:
    """Keep one of particles of a series that lie within a distance in the middle of the exposure.

    Of two, the one of greater weight stays, of equals the first; what was dropped drops no other.
    """
    position = resample_trajectory(torch.from_numpy(table.position_angstrom), 1)[:, 0].numpy()
    kept = np.ones(table.particles, dtype=bool)
    across = 0
    for name in np.unique(table.series_name.astype(str)):
        rows = np.flatnonzero(table.series_name == name)
        near = KDTree(position[rows]).query_ball_point(position[rows], distance_angstrom)
        for best in np.argsort(-table.weight[rows], kind="stable"):
            if kept[rows[best]]:
                others = rows[[other for other in near[best] if other != best]]
                others = others[kept[others]]
                across += int((table.half_set[others] != table.half_set[rows[best]]).sum())
                kept[others] = False
    return Thinned(taken(table, np.flatnonzero(kept)), int((~kept).sum()), across)


def taken(table: ParticleTable, rows: np.ndarray) -> ParticleTable:
    """Rows of a table, in this order."""
    return ParticleTable(
        series_name=table.series_name[rows],
        position_angstrom=table.position_angstrom[rows],
        euler_deg=table.euler_deg[rows],
        half_set=table.half_set[rows],
        weight=table.weight[rows],
        source=table.source.iloc[rows].reset_index(drop=True) if table.source.shape[1] else table.source,
    )


def _rotations(table: ParticleTable) -> Float[Tensor, "particle sample 3 3"]:
    return matrix_from_euler(torch.from_numpy(table.euler_deg).deg2rad())


def _posed(
    table: ParticleTable,
    position_angstrom: Float[Tensor, "particle sample 3"],
    rotation: Float[Tensor, "particle sample 3 3"],
) -> ParticleTable:
    euler = continuous_euler(euler_from_matrix(rotation)).rad2deg()
    return replace(
        table, position_angstrom=position_angstrom.numpy(), euler_deg=euler.numpy(), source=_without_errors(table)
    )


def _without_errors(table: ParticleTable) -> pd.DataFrame:
    """Columns of the file but for standard errors, which belong to the poses that were fitted."""
    stale = [name for name in table.source.columns if name.startswith(POSE_ERRORS)]
    return table.source.drop(columns=stale)
