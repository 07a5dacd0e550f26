"""Segments of one filament that show the same units.

Averaging over the units of a helix moves the noise of an image along the filament. Segments less than that apart, and
on one axis, share noise in the map: they must not lie in different half sets, and belong into one fold.
"""

import numpy as np
import torch
from jaxtyping import Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from mlit.geometry.map_symmetry import Helix
from mlit.geometry.rotations import matrix_from_euler
from mlit.project.project import Project

BESIDE_OVER_DIAMETER = 0.25  # segments farther from each other's axis lie on other filaments


def neighbours_on_filaments(project: Project, helix: Helix, diameter_angstrom: float) -> Int[np.ndarray, "pair 2"]:
    """Pairs of rows of the particle table that show the same units of a filament."""
    table, beside = project.particles, BESIDE_OVER_DIAMETER * diameter_angstrom
    found = [np.zeros((0, 2), dtype=np.int64)]
    for series in project.series:
        rows = series.particle_index.numpy()
        position = table.position_angstrom[rows].mean(1)
        euler = torch.from_numpy(table.euler_deg[rows][:, 0]).deg2rad()
        axis = matrix_from_euler(euler)[:, :, 2].numpy()
        reach = float(np.hypot(helix.height_angstrom, beside))
        pairs = KDTree(position).query_pairs(reach, output_type="ndarray")
        between = position[pairs[:, 1]] - position[pairs[:, 0]]
        along = np.abs((between * axis[pairs[:, 0]]).sum(1))
        across = np.sqrt(np.maximum((between**2).sum(1) - along**2, 0))
        found.append(rows[pairs[(along < helix.height_angstrom) & (across < beside)]])
    return np.concatenate(found)


def filaments(pairs: Int[np.ndarray, "pair 2"], particles: int) -> Int[np.ndarray, " particle"]:
    """Give each row of the particle table the number of its filament, or stretch of one."""
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(particles, particles))
    return connected_components(graph, directed=False)[1].astype(np.int64)
