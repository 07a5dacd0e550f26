"""Where the molecules lie in the ice, how they are turned, and what picking makes of that."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mlit.errors import InputError
from mlit.geometry.rotations import euler_from_matrix, matrix_from_euler, matrix_from_rotvec
from mlit.geometry.trajectory import continuous_euler
from mlit.simulation.config_errors import DeformationConfig
from mlit.simulation.config_sample import PicksConfig

_MOST_REFUSALS = 5000


@dataclass(frozen=True)
class Poses:
    """Rows of a particle table.

    Attributes
    ----------
    position_angstrom
        From the volume corner, float64.
    euler_rad
        RELION's rot, tilt, psi, float64.
    false_pick
        Rows that have no molecule.
    """

    position_angstrom: Float[Tensor, "particle 3"]
    euler_rad: Float[Tensor, "particle 3"]
    false_pick: Bool[Tensor, " particle"]

    def rotation(self) -> Float[Tensor, "particle 3 3"]:
        """Matrices that map reference vectors to the sample frame."""
        return matrix_from_euler(self.euler_rad)

    def molecules(self) -> "Poses":
        """Return the rows that have a molecule."""
        keep = ~self.false_pick
        return Poses(self.position_angstrom[keep], self.euler_rad[keep], self.false_pick[keep])


def place_without_overlap(
    count: int, extent_angstrom: np.ndarray, min_distance_angstrom: float, rng: np.random.Generator
) -> np.ndarray:
    """Random sequential addition: uniform points of a centred box, none nearer than the distance.

    Returns
    -------
    position
        (count, 3) in Å from the box's centre.

    Raises
    ------
    InputError
        When the box is too small for that many.
    """
    placed = np.empty((count, 3))
    done, refused = 0, 0 if min(extent_angstrom) >= 0 else _MOST_REFUSALS
    while done < count and refused < _MOST_REFUSALS:
        trial = rng.uniform(-0.5, 0.5, 3) * extent_angstrom
        if ((placed[:done] - trial) ** 2).sum(-1).min(initial=np.inf) < min_distance_angstrom**2:
            refused += 1
        else:
            placed[done] = trial
            done, refused = done + 1, 0
    if done == count:
        return placed
    raise InputError(
        f"simulation.sample.particles: only {done} of {count} molecules fit; "
        "lower particles or min_distance_angstrom, or enlarge the image or thickness_angstrom"
    )


def random_rotations(count: int, rng: np.random.Generator) -> Float[Tensor, "particle 3 3"]:
    """Uniform rotations, from normal quaternions."""
    q = torch.as_tensor(rng.normal(size=(count, 4)))
    w, x, y, z = (q / q.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def draw_poses(
    particles: int,
    false_picks: int,
    extent_angstrom: np.ndarray,
    min_distance_angstrom: float,
    centre_angstrom: np.ndarray,
    rng: np.random.Generator,
) -> Poses:
    """Draw true poses: separated molecules first, then false picks anywhere in the same box."""
    molecules = place_without_overlap(particles, extent_angstrom, min_distance_angstrom, rng)
    empty = rng.uniform(-0.5, 0.5, (false_picks, 3)) * extent_angstrom
    position = torch.as_tensor(np.concatenate([molecules, empty]) + centre_angstrom)
    euler = euler_from_matrix(random_rotations(particles + false_picks, rng))
    return Poses(position, euler, torch.arange(particles + false_picks) >= particles)


def moving_poses(middle: Poses, deformation: DeformationConfig, rng: np.random.Generator) -> tuple[Poses, ...]:
    """Poses at the first and at the last dose, about those in the middle; a single set where nothing moves."""
    length, angle = deformation.particle_motion_error_angstrom, deformation.particle_motion_error_deg
    if length == angle == 0:
        return (middle,)
    count = len(middle.position_angstrom)
    shift = torch.as_tensor(rng.normal(size=(count, 3))) * length
    turn = torch.as_tensor(rng.normal(size=(count, 3))) * np.deg2rad(angle)
    ends = (-0.5, 0.5)
    rotation = torch.stack([matrix_from_rotvec(end * turn) @ middle.rotation() for end in ends], 1)
    euler = continuous_euler(euler_from_matrix(rotation))
    return tuple(
        Poses(middle.position_angstrom + end * shift, euler[:, sample], middle.false_pick)
        for sample, end in enumerate(ends)
    )


def picked_poses(true: Poses, config: PicksConfig, rng: np.random.Generator) -> Poses:
    """Add a picker's errors to positions and to rotations (about the sample's axes)."""
    count = len(true.position_angstrom)
    shift = torch.as_tensor(rng.normal(size=(count, 3))) * config.position_error_angstrom
    turn = torch.as_tensor(rng.normal(size=(count, 3))) * np.deg2rad(config.rotation_error_deg)
    rotation = matrix_from_rotvec(turn) @ true.rotation()
    return Poses(true.position_angstrom + shift, euler_from_matrix(rotation), true.false_pick)
