"""Curves that the tilts of all series share: how the signal depends on dose and tilt angle.

Tilts are pooled by what was done to them and never by their place in a file, so that series may have any number of
tilts, and any of them may be missing.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.likelihood.signal_weights import LEAST_COSINE
from mlit.optics.dose import critical_exposure

KNOTS = 6
LENGTH = 0.5  # of the correlation along a curve, in units of its range


@dataclass(frozen=True)
class PooledCurves:
    """Basis of smooth functions of dose and tilt angle, each without its mean.

    Curves are straight between knots. Their coefficients are independent and of unit variance where the values at the
    knots are an Ornstein-Uhlenbeck field of unit variance, less its mean: what all tilts share is a matter of units.

    Attributes
    ----------
    dose_knots, angle_knots
        In e/Å² and radians.
    """

    dose_knots: Float[Tensor, " knot"]
    angle_knots: Float[Tensor, " knot"]

    @classmethod
    def spanning(cls, dose: Float[Tensor, " tilt"], angle_rad: Float[Tensor, " tilt"]) -> "PooledCurves":
        """Spread knots over the range of doses and angles."""
        return cls(*(torch.linspace(float(v.min()), float(v.max()), KNOTS).double() for v in (dose, angle_rad)))

    def basis(self, dose: Float[Tensor, " tilt"], angle_rad: Float[Tensor, " tilt"]) -> Float[Tensor, "tilt function"]:
        """Values of all basis functions at some tilts."""
        parts = [
            _hats(values.double(), knots) @ _contrasts()
            for values, knots in ((dose, self.dose_knots), (angle_rad, self.angle_knots))
        ]
        return torch.cat(parts, 1)


def _hats(values: Float[Tensor, " tilt"], knots: Float[Tensor, " knot"]) -> Float[Tensor, "tilt knot"]:
    """Weights of linear interpolation; beyond the ends the last value is held."""
    span = (knots[-1] - knots[0]).clamp(min=1e-9)
    place = ((values - knots[0]) / span * (len(knots) - 1)).clamp(0, len(knots) - 1)
    return (1 - (place[:, None] - torch.arange(len(knots))).abs()).clamp(min=0)


def _contrasts() -> Float[Tensor, "knot function"]:
    """Square root of the covariance of the values at the knots, less their mean."""
    place = torch.linspace(0, 1, KNOTS, dtype=torch.float64)
    covariance = torch.exp(-(place[:, None] - place).abs() / LENGTH)
    centring = torch.eye(KNOTS, dtype=torch.float64) - 1 / KNOTS
    values, vectors = torch.linalg.eigh(centring @ covariance @ centring)
    return vectors[:, 1:] * values[1:].sqrt()


def expected_loss(dose: Float[Tensor, "*entry"], frequency: Float[Tensor, " bin"]) -> Float[Tensor, "*entry bin"]:
    """Logarithm of what radiation damage leaves of the signal."""
    return -dose[..., None] / (2 * critical_exposure(frequency))


def path_strength(angle_rad: Float[Tensor, " tilt"]) -> Float[Tensor, " tilt"]:
    """Logarithm of the amplitude that the path through the sample lets expect."""
    return angle_rad.cos().clamp(min=LEAST_COSINE).log() / 2


def nearest_gaussian(
    loss: Float[Tensor, "tilt bin"], frequency: Float[Tensor, " bin"], information: Float[Tensor, "tilt bin"]
) -> Float[Tensor, "tilt 2"]:
    """Logarithm of the amplitude and B factor (Å²) of the Gaussians of frequency nearest to logarithms of a signal.

    Bins count by the information that they hold.
    """
    design = torch.stack([torch.ones_like(frequency), frequency.square() / 4], -1)
    normal = torch.einsum("tb,bi,bj->tij", information, design, design)
    right = torch.einsum("tb,bi,tb->ti", information, design, loss)
    floor = (1e-9 * normal.diagonal(dim1=1, dim2=2)).clamp(min=1e-30)
    return torch.linalg.solve(normal + torch.diag_embed(floor), right[..., None]).squeeze(-1)
