"""The density that a perfect refinement would find."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mlit.simulation.splat import fast_even_size
from mlit.simulation.splat_kernel import OVERSAMPLING, SplatKernel
from mlit.simulation.structure import Structure

_ATOM_CHUNK = 20_000


def map_size(structure: Structure, pixel_size_angstrom: float) -> int:
    """Even box that leaves a quarter of the diameter free on each side."""
    return fast_even_size(1.5 * structure.diameter_angstrom / pixel_size_angstrom)


def true_density(structure: Structure, size: int, pixel_size_angstrom: float) -> Float[Tensor, "z y x"]:
    """Potential above ice in V, band-limited to the grid, origin at index n//2; Nyquist planes are zero."""
    kernel = SplatKernel()
    frequency = torch.fft.fftfreq(size, pixel_size_angstrom, dtype=torch.float64)
    envelope = structure.envelope(_squared_norm(frequency, frequency[: size // 2 + 1])).float()
    spectrum = torch.zeros(size, size, size // 2 + 1, dtype=torch.complex64)
    for component, weight in enumerate(structure.potential_volt_angstrom3):
        fine = _spread(structure.position_angstrom / pixel_size_angstrom, weight, size, kernel)
        spectrum += _low_frequencies(torch.fft.rfftn(fine), size) * envelope[component]
    correction = kernel.correction(size).float()
    spectrum *= correction[:, None, None] * correction[:, None] * correction[: size // 2 + 1]
    spectrum[size // 2], spectrum[:, size // 2], spectrum[:, :, size // 2] = 0, 0, 0
    return torch.fft.irfftn(spectrum, s=(size, size, size)) / pixel_size_angstrom**3


def _squared_norm(full: Tensor, half: Tensor) -> Float[Tensor, "z y xhalf"]:
    """|k|² in the rfftn layout."""
    return full[:, None, None] ** 2 + full[:, None] ** 2 + half**2


def _spread(
    position: Float[Tensor, "atom 3"], weight: Float[Tensor, " atom"], size: int, kernel: SplatKernel
) -> Float[Tensor, "zfine yfine xfine"]:
    """Sum of the bells of all points (positions in output pixels) on the fine grid."""
    fine = size * OVERSAMPLING
    total = torch.zeros(fine**3)
    for start in range(0, len(position), _ATOM_CHUNK):
        part = position[start : start + _ATOM_CHUNK].float() * OVERSAMPLING + fine // 2
        (x, x_value), (y, y_value), (z, z_value) = (kernel.taps(part[:, axis], fine) for axis in range(3))
        index = (z[:, :, None, None] * fine + y[:, None, :, None]) * fine + x[:, None, None, :]
        plane = z_value[:, :, None] * y_value[:, None] * weight[start : start + _ATOM_CHUNK, None, None].float()
        total += torch.bincount(index.reshape(-1), (plane[..., None] * x_value[:, None, None]).reshape(-1), fine**3)
    return total.reshape(fine, fine, fine)


def _low_frequencies(fine: Complex[Tensor, "zfine yfine xfinehalf"], size: int) -> Complex[Tensor, "z y xhalf"]:
    """Cut the fine spectrum down to the output's band."""
    half = size // 2
    keep = torch.cat([torch.arange(half), torch.arange(-half, 0) + len(fine)])
    return fine[keep][:, keep][:, :, : half + 1]
