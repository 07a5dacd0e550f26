"""The amplitude of the references in each tilt."""

import torch
from jaxtyping import Float
from torch import Tensor

AMPLITUDE_WIDTH = 0.25  # standard deviation of the amplitudes about what is expected


def fitted_amplitude(
    cross: Float[Tensor, "*grid"],
    power: Float[Tensor, "*grid"],
    expected: Float[Tensor, "*grid"],
    width: float = AMPLITUDE_WIDTH,
) -> Float[Tensor, "*grid"]:
    """Return the amplitudes a, zero or more, that maximise ``a cross - a² power / 2`` and their prior.

    Parameters
    ----------
    cross, power
        Sums over the particles of a tilt, see :class:`mlit.likelihood.statistics.LocalStatistics`.
    expected
        Centre of the prior; where it is zero, so is the amplitude.
    width
        Its standard deviation; may be infinite.
    """
    weight = width**-2
    fitted = (cross + weight * expected) / (power + weight).clamp(min=torch.finfo(power.dtype).tiny)
    return torch.where(expected > 0, fitted.clamp(min=0), torch.zeros_like(fitted))
