"""How far the poses of a particle may be from their start, and how far it may move while it is exposed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.deformation.prior import walk_covariance
from mlit.geometry.trajectory import MIDDLE, sample_times


@dataclass(frozen=True)
class PosePrior:
    """Widths (standard deviations) of the errors of a starting pose.

    The poses of a particle over the exposure share one error, and to it comes a random walk in dose.

    Attributes
    ----------
    position_angstrom, rotation_deg
        Error that all samples share: one number for all axes, or three along and about the axes of the particle's
        own reference, turned as the particle is at the start.
    motion_angstrom, motion_deg
        Motion from the first to the last sample along and about each axis. Matters with more samples than one.
    """

    position_angstrom: float | Sequence[float]
    rotation_deg: float | Sequence[float]
    motion_angstrom: float = 0.0
    motion_deg: float = 0.0

    @property
    def along_own_axes(self) -> bool:
        """Whether raw values refer to the axes of the particle, rather than to those of the sample."""
        return isinstance(self.position_angstrom, Sequence) or isinstance(self.rotation_deg, Sequence)

    def factor(self, samples: int) -> Float[Tensor, "6 sample sample"]:
        """Square root of the covariance of the samples, for x, y, z (Å) and the rotation vector (radians).

        It takes raw values, which are independent with unit variance, to deviations from the start.
        """
        shift = [(width, self.motion_angstrom) for width in _three(self.position_angstrom)]
        turn = [(math.radians(width), math.radians(self.motion_deg)) for width in _three(self.rotation_deg)]
        common, motion = torch.tensor(shift + turn, dtype=torch.float64).square().T
        walk = walk_covariance(sample_times(samples), origin=MIDDLE)
        return torch.linalg.cholesky(common[:, None, None] + motion[:, None, None] * walk)


def _three(width: float | Sequence[float]) -> Sequence[float]:
    return width if isinstance(width, Sequence) else [width] * 3
