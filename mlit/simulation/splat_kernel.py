"""The bell that spreads a point over a pixel grid, and its exact Fourier transform."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

OVERSAMPLING = 2
"""Fine pixels per pixel of the output."""

_QUADRATURE_NODES = 64


@dataclass(frozen=True)
class SplatKernel:
    """Exponential of a semicircle, exp(β (√(1 − (2u/w)²) − 1)) for |u| ≤ w/2 (Barnett et al., 2019).

    With two-fold oversampling, every further pixel of width gains about a digit: the bell spreads a point's
    Fourier component over all frequencies of the fine grid in a known way, and what folds back from outside
    is negligible. Dividing by ``transform`` then undoes the spreading exactly.

    Attributes
    ----------
    width
        Support in pixels of the fine grid.
    """

    width: int = 5

    @property
    def sharpness(self) -> float:
        """β of the bell, optimal for two-fold oversampling."""
        return 2.30 * self.width

    def values(self, offset: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Height of the bell at an offset in fine pixels; zero outside the support."""
        inside = 1 - (offset * (2 / self.width)) ** 2
        return torch.exp(self.sharpness * (inside.clamp_min(0).sqrt() - 1)) * (inside >= 0)

    def transform(self, frequency: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Fourier transform at a frequency in cycles per fine pixel, by Gauss-Legendre quadrature."""
        node, weight = np.polynomial.legendre.leggauss(_QUADRATURE_NODES)
        offset = torch.as_tensor(node, dtype=torch.float64) * (self.width / 2)
        height = self.values(offset) * torch.as_tensor(weight) * (self.width / 2)
        phase = 2 * np.pi * frequency.to(torch.float64)[..., None] * offset
        return (torch.cos(phase) * height).sum(-1).to(frequency.dtype)

    def taps(
        self, coordinate: Float[Tensor, "..."], size: int
    ) -> tuple[Int[Tensor, "... tap"], Float[Tensor, "... tap"]]:
        """Return the fine pixels under the bell on an axis periodic in ``size``, and its heights there."""
        first = torch.ceil(coordinate - self.width / 2)
        pixel = first[..., None] + torch.arange(self.width)
        return torch.remainder(pixel.long(), size), self.values(pixel - coordinate[..., None])

    def correction(self, size: int) -> Float[Tensor, " frequency"]:
        """One over the transform at every fftfreq frequency of an axis of ``size`` output pixels, float64."""
        return 1 / self.transform(torch.fft.fftfreq(size, OVERSAMPLING, dtype=torch.float64))
