"""Poses of the particles of a tilt series."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mlit.geometry.rotations import matrix_from_rotvec


class Poses(nn.Module):
    """Positions and orientations, as deviations from the start in units of the prior's width.

    Columns of ``raw``: shift along x, y, z of the sample, then a rotation vector in the frame of the sample
    that turns the starting orientation from the left.

    Parameters
    ----------
    position_angstrom
        Starting positions, Å from the corner of the volume: one, or one for each tilt of a trajectory.
    rotation
        Starting orientations, likewise.
    position_prior_angstrom, rotation_prior_deg
        Standard deviations of the error of the start along each axis.
    """

    def __init__(
        self,
        position_angstrom: Float[Tensor, "particle 3"] | Float[Tensor, "particle tilt 3"],
        rotation: Float[Tensor, "particle 3 3"] | Float[Tensor, "particle tilt 3 3"],
        position_prior_angstrom: float,
        rotation_prior_deg: float,
    ) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.zeros(len(position_angstrom), 6, dtype=torch.float64))
        self.register_buffer("start_angstrom", position_angstrom.double(), persistent=True)
        self.register_buffer("start_rotation", rotation.double(), persistent=True)
        self.scale_angstrom = position_prior_angstrom
        self.scale_rad = math.radians(rotation_prior_deg)

    def at(self, raw: Float[Tensor, "particle 6"]) -> tuple[Tensor, Tensor]:
        """Positions (Å) and orientations for given raw values, shaped like the starting ones."""
        start, rotation = self.get_buffer("start_angstrom"), self.get_buffer("start_rotation")
        shift, turn = self.change(raw)
        if start.dim() == 3:
            shift, turn = shift[:, None], turn[:, None]
        return start + shift, turn @ rotation

    def change(self, raw: Float[Tensor, "particle 6"]) -> tuple[Tensor, Tensor]:
        """Shift ``"particle 3"`` (Å) and rotation from the left ``"particle 3 3"`` for given raw values."""
        return raw[:, :3] * self.scale_angstrom, matrix_from_rotvec(raw[:, 3:] * self.scale_rad)
