"""Poses of the particles of a tilt series."""

import math

import torch
from jaxtyping import Bool, Float
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
        self.register_buffer("start_angstrom", position_angstrom.double())
        self.register_buffer("start_rotation", rotation.double())
        count = len(position_angstrom)
        self.register_buffer("frame_rotation", torch.eye(3, dtype=torch.float64).repeat(count, 1, 1))
        self.register_buffer("frame_shift_angstrom", torch.zeros(count, 3, dtype=torch.float64))
        self.scale_angstrom = position_prior_angstrom
        self.scale_rad = math.radians(rotation_prior_deg)

    def at(self, raw: Float[Tensor, "particle 6"]) -> tuple[Tensor, Tensor]:
        """Positions (Å) and orientations for given raw values, shaped like the starting ones."""
        return self.moved(self.get_buffer("start_angstrom"), self.get_buffer("start_rotation"), raw)

    def moved(
        self, position_angstrom: Tensor, rotation: Tensor, raw: Float[Tensor, "particle 6"]
    ) -> tuple[Tensor, Tensor]:
        """Apply the refined changes and the motion of the reference frame to poses ``"particle [sample] 3"``."""
        shift, turn = raw[:, :3] * self.scale_angstrom, matrix_from_rotvec(raw[:, 3:] * self.scale_rad)
        frame = self.get_buffer("frame_rotation"), self.get_buffer("frame_shift_angstrom")
        if position_angstrom.dim() == 3:
            shift, turn, frame = shift[:, None], turn[:, None], (frame[0][:, None], frame[1][:, None])
        oriented = turn @ rotation @ frame[0].transpose(-1, -2)
        return position_angstrom + shift - (oriented @ frame[1][..., None]).squeeze(-1), oriented

    def follow(
        self, which: Bool[Tensor, " particle"], rotation: Float[Tensor, "3 3"], shift_angstrom: Float[Tensor, "3"]
    ) -> None:
        """Let some particles follow a motion ``x -> rotation x + shift`` of their reference, in place.

        The motion is a choice of frame, not an error of the start: it costs no prior.
        """
        turn, shift = self.get_buffer("frame_rotation"), self.get_buffer("frame_shift_angstrom")
        shift[which] = shift[which] @ rotation.T.to(shift) + shift_angstrom.to(shift)
        turn[which] = rotation.to(turn) @ turn[which]
