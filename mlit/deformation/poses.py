"""Poses of the particles of a tilt series."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mlit.deformation.pose_prior import PosePrior
from mlit.geometry.rotations import matrix_from_rotvec


class Poses(nn.Module):
    """Positions and orientations, as deviations from the start in units of the prior's width.

    Columns of ``raw``: shift along x, y, z, then a rotation vector that turns the starting orientation from the left.
    Their axes are those of the sample, or of the particle itself where the prior differs between them.

    Parameters
    ----------
    position_angstrom
        Starting positions, Å from the corner of the volume.
    rotation
        Starting orientations.
    prior
        How far off they may be.
    samples
        Number of poses of each particle over the exposure.
    """

    def __init__(
        self,
        position_angstrom: Float[Tensor, "particle 3"],
        rotation: Float[Tensor, "particle 3 3"],
        prior: PosePrior,
        samples: int = 1,
    ) -> None:
        super().__init__()
        count = len(position_angstrom)
        self.raw = nn.Parameter(torch.zeros(count, 6 * samples, dtype=torch.float64))
        self.register_buffer("start_angstrom", position_angstrom.double())
        self.register_buffer("start_rotation", rotation.double())
        self.register_buffer("frame_rotation", torch.eye(3, dtype=torch.float64).repeat(count, 1, 1))
        self.register_buffer("frame_shift_angstrom", torch.zeros(count, 3, dtype=torch.float64))
        self.register_buffer("factor", prior.factor(samples), persistent=False)
        self.along_own_axes = prior.along_own_axes

    @property
    def samples(self) -> int:
        """Number of poses of each particle over the exposure."""
        return self.get_buffer("factor").shape[1]

    def of_species(self, species: int, values: Float[Tensor, "particle *pose"]) -> "tuple[Poses, Tensor]":
        """Poses of one of several species, and its part of values that are given for all parameters; here all."""
        return self, values

    def at(self, raw: Float[Tensor, "particle pose"]) -> tuple[Tensor, Tensor]:
        """Positions (Å) and orientations for given raw values: one for all tilts, ``"particle 3 [3]"``."""
        shift, turn = (part.squeeze(1) for part in self.deviation(raw))
        rotation = matrix_from_rotvec(turn) @ self.get_buffer("start_rotation")
        return self._in_frame(self.get_buffer("start_angstrom") + shift, rotation)

    def at_samples(
        self, raw: Float[Tensor, "particle pose"]
    ) -> tuple[Float[Tensor, "particle sample 3"], Float[Tensor, "particle sample 3 3"]]:
        """Positions (Å) and orientations of all samples, as a particle table has them."""
        position, rotation = self.at(raw)
        return position[:, None], rotation[:, None]

    def deviation(
        self, raw: Float[Tensor, "particle pose"]
    ) -> tuple[Float[Tensor, "particle sample 3"], Float[Tensor, "particle sample 3"]]:
        """Shifts (Å) and rotation vectors (radians) in the frame of the sample."""
        values = torch.einsum("akl,pla->pka", self.get_buffer("factor"), raw.unflatten(1, (-1, 6)))
        if self.along_own_axes:
            values = values.unflatten(2, (2, 3)) @ self.get_buffer("start_rotation").transpose(-1, -2)[:, None]
            values = values.flatten(2)
        return values[..., :3], values[..., 3:]

    def errors(
        self, covariance: Float[Tensor, "particle pose pose"]
    ) -> tuple[Float[Tensor, "particle sample 3"], Float[Tensor, "particle sample 3"]]:
        """Return the standard errors of shifts (Å) and rotation vectors (radians) along the axes of the sample.

        Parameters
        ----------
        covariance
            Of the raw values of each particle.
        """
        one = torch.eye(covariance.shape[-1], dtype=covariance.dtype)
        by_raw = torch.stack([torch.cat(self.deviation(row.expand(len(covariance), -1)), -1) for row in one], -1)
        variance = torch.einsum("pkai,pij,pkaj->pka", by_raw, covariance, by_raw)
        return variance[..., :3].sqrt(), variance[..., 3:].sqrt()

    def _in_frame(self, position_angstrom: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor]:
        """Poses ``"particle [sample] 3 [3]"`` in the present frame of the reference."""
        turn, shift = self.get_buffer("frame_rotation"), self.get_buffer("frame_shift_angstrom")
        if position_angstrom.dim() == 3:
            turn, shift = turn[:, None], shift[:, None]
        oriented = rotation @ turn.transpose(-1, -2)
        return position_angstrom - (oriented @ shift[..., None]).squeeze(-1), oriented

    def follow(
        self, which: Bool[Tensor, " particle"], rotation: Float[Tensor, "3 3"], shift_angstrom: Float[Tensor, "3"]
    ) -> None:
        """Let some particles follow a motion ``x -> rotation x + shift`` of their reference, in place.

        The motion is a choice of frame, not an error of the start: it costs no prior.
        """
        turn, shift = self.get_buffer("frame_rotation"), self.get_buffer("frame_shift_angstrom")
        shift[which] = shift[which] @ rotation.T.to(shift) + shift_angstrom.to(shift)
        turn[which] = rotation.to(turn) @ turn[which]
