"""Particles that move and turn while they are exposed."""

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.deformation.carried_poses import CarriedPoses
from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.geometry.rotations import euler_axes, matrix_from_euler, matrix_from_rotvec
from mlit.geometry.trajectory import continuous_euler, evaluate_trajectory, resample_trajectory

MOST_REFINED = 8  # samples; a start with more is a path that is kept
POLE = 0.01  # sine of the tilt of particles whose rot and psi are too alike to be told apart


class Trajectories(Poses):
    """Several poses of each particle, evenly spread over the exposure, and what lies between them.

    Positions follow the curve of M through the samples (PCHIP). M interpolates the three Euler angles in the same way,
    one by one. Here the rotation vectors that turn the start take their place: they follow the curve along the axes of
    these angles, which is the same to first order in the turn, and free of the pole of the angles.

    Parameters
    ----------
    position_angstrom, euler_rad
        Starting samples, at least two.
    time
        Normalised dose of each tilt.
    prior
        How far off they may be.
    """

    def __init__(
        self,
        position_angstrom: Float[Tensor, "particle sample 3"],
        euler_rad: Float[Tensor, "particle sample 3"],
        time: Float[Tensor, " tilt"],
        prior: PosePrior,
    ) -> None:
        middle = resample_trajectory(position_angstrom, 1)[:, 0], resample_trajectory(euler_rad, 1)[:, 0]
        super().__init__(middle[0], matrix_from_euler(middle[1]), prior, position_angstrom.shape[1])
        self.register_buffer("sample_angstrom", position_angstrom)
        self.register_buffer("sample_euler", euler_rad)
        self.register_buffer("time", time, persistent=False)
        self._follow_start()

    def _follow_start(self) -> None:
        """Lay out what follows from the starting samples alone."""
        euler, time = self.get_buffer("sample_euler"), self.get_buffer("time")
        between = evaluate_trajectory(euler, time)
        at_pole = (euler[..., 1].sin().abs() < POLE).any(1)[:, None, None]
        one = torch.eye(3, dtype=euler.dtype)
        to_angles = torch.linalg.inv(torch.where(at_pole[..., None], one, euler_axes(euler)))
        derived = {
            "sample_rotation": matrix_from_euler(euler),
            "tilt_rotation": matrix_from_euler(between),
            "base": torch.where(at_pole, 0.0, euler),
            "to_angles": to_angles,
            "from_angles": torch.where(at_pole[..., None], one, euler_axes(between)),
        }
        for name, value in derived.items():
            self.register_buffer(name, value, persistent=False)

    def at(self, raw: Float[Tensor, "particle pose"]) -> tuple[Tensor, Tensor]:
        """Positions (Å) and orientations for given raw values, one for each tilt, ``"particle tilt 3 [3]"``."""
        position, _ = self.at_samples(raw)
        oriented = matrix_from_rotvec(self._turn(raw)) @ self.get_buffer("tilt_rotation")
        frame = self.get_buffer("frame_rotation")[:, None]
        return evaluate_trajectory(position, self.get_buffer("time")), oriented @ frame.transpose(-1, -2)

    def _turn(self, raw: Float[Tensor, "particle pose"]) -> Float[Tensor, "particle tilt 3"]:
        """Rotation vectors between the samples: differences of two curves through Euler angles, to first order."""
        base, time = self.get_buffer("base"), self.get_buffer("time")
        change = (self.get_buffer("to_angles") @ self.deviation(raw)[1][..., None]).squeeze(-1)
        between = evaluate_trajectory(base + change, time) - evaluate_trajectory(base, time)
        return (self.get_buffer("from_angles") @ between[..., None]).squeeze(-1)

    def at_samples(
        self, raw: Float[Tensor, "particle pose"]
    ) -> tuple[Float[Tensor, "particle sample 3"], Float[Tensor, "particle sample 3 3"]]:
        """Positions (Å) and orientations of all samples, as a particle table has them."""
        shift, turn = self.deviation(raw)
        rotation = matrix_from_rotvec(turn) @ self.get_buffer("sample_rotation")
        return self._in_frame(self.get_buffer("sample_angstrom") + shift, rotation)


def make_poses(
    position_angstrom: Float[Tensor, "particle sample 3"],
    euler_rad: Float[Tensor, "particle sample 3"],
    time: Float[Tensor, " tilt"],
    prior: PosePrior,
    temporal_samples: int,
) -> Poses:
    """Poses of the particles of a series, with a given number of samples over the exposure.

    A start with fewer samples is followed at the new times. One that has more keeps them: fewer could not hold it. One
    that has many is a path found tilt by tilt, along which particles move as a whole.

    Parameters
    ----------
    position_angstrom, euler_rad
        Starting samples. Angles that jump by a turn between samples are taken the short way.
    time
        Normalised dose of each tilt.
    prior
        How far off they may be.
    temporal_samples
        Samples wanted.
    """
    count = max(temporal_samples, position_angstrom.shape[1])
    if count == 1:
        return Poses(position_angstrom[:, 0], matrix_from_euler(euler_rad[:, 0]), prior)
    position = resample_trajectory(position_angstrom, count)
    euler = resample_trajectory(continuous_euler(euler_rad), count)
    kind = CarriedPoses if count > max(temporal_samples, MOST_REFINED) else Trajectories
    return kind(position, euler, time, prior)
