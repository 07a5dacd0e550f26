"""Fourier transforms of real arrays whose origin lies at index n // 2 of every axis.

Spectra have the rfftn layout (full z and y axes, half x axis) with frequency zero at index 0; only the origin
of real space is moved, so that the phases are those of an object centred in its box.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def centred_rfftn(array: Float[Tensor, "*batch_and_grid"], dims: int) -> Complex[Tensor, "*batch_and_half"]:
    """Transform the last `dims` axes of a real array about index n // 2 (any sizes, odd or even)."""
    axes = tuple(range(-dims, 0))
    return torch.fft.rfftn(torch.fft.ifftshift(array, dim=axes), dim=axes)


def centred_irfftn(
    spectrum: Complex[Tensor, "*batch_and_half"], size: Sequence[int]
) -> Float[Tensor, "*batch_and_grid"]:
    """Inverse of `centred_rfftn`; `size` is the real-space shape of the transformed axes."""
    axes = tuple(range(-len(size), 0))
    return torch.fft.fftshift(torch.fft.irfftn(spectrum, s=tuple(size), dim=axes), dim=axes)


def centred_irfft3(spectrum: Complex[Tensor, "*batch kz ky kx"], n: int) -> Float[Tensor, "*batch z y x"]:
    """Cubic volume of edge `n` from its centred transform."""
    return centred_irfftn(spectrum, (n, n, n))
