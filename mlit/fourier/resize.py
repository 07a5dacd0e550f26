"""Change the size of boxes in real space and in Fourier space, their centre n // 2 staying in place.

Real-space cropping and padding keep the pixel size; Fourier cropping and padding keep the field of view and
change the pixel size. Grey values are kept in both: a constant stays the same constant.
"""

import torch
import torch.nn.functional as functional
from jaxtyping import Complex, Float
from torch import Tensor

from mlit.fourier.centred import centred_irfftn, centred_rfftn


def crop_or_pad(
    array: Float[Tensor, "*batch_and_grid"], size: int, dims: int, value: float = 0.0
) -> Float[Tensor, "*batch_and_new"]:
    """Crop or pad the last `dims` axes to `size` pixels; index n // 2 goes to index size // 2.

    Padding is filled with `value`. Axes may have different lengths, odd or even.
    """
    padding: list[int] = []
    for n in reversed(array.shape[-dims:]):
        before = size // 2 - n // 2
        padding += [before, size - n - before]
    return functional.pad(array, padding, value=value)


def _resize_full_axis(spectrum: Tensor, size: int, axis: int) -> Tensor:
    """Crop or pad one axis in fft order; the Nyquist term of an even size is summed or split."""
    n = spectrum.shape[axis]
    if n == size:
        return spectrum
    small = min(n, size)
    positive = spectrum.narrow(axis, 0, (small + 1) // 2)
    negative = spectrum.narrow(axis, n - (small - 1) // 2, (small - 1) // 2)
    middle = size - positive.shape[axis] - negative.shape[axis]
    shape = list(spectrum.shape)
    if small % 2:
        shape[axis] = middle
        return torch.cat([positive, spectrum.new_zeros(shape), negative], axis)
    nyquist = spectrum.narrow(axis, small // 2, 1)
    if size < n:
        folded = nyquist + spectrum.narrow(axis, n - small // 2, 1)
        return torch.cat([positive, folded, negative], axis)
    shape[axis] = middle - 2
    return torch.cat([positive, nyquist / 2, spectrum.new_zeros(shape), nyquist / 2, negative], axis)


def _friedel_partner(spectrum: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Conjugate of the coefficients at −k along `axes` in fft order."""
    if axes:
        spectrum = torch.roll(spectrum.flip(axes), [1] * len(axes), axes)
    return spectrum.conj()


def _resize_half_axis(spectrum: Tensor, n: int, size: int, axes: tuple[int, ...]) -> Tensor:
    """Crop or pad the last axis, which holds kx >= 0 of a real array of `n` columns."""
    if size == n:
        return spectrum
    half = size // 2 + 1
    if size < n:
        kept = spectrum[..., :half]
        if size % 2:
            return kept
        folded = kept[..., -1:] + _friedel_partner(kept[..., -1:], axes)
        return torch.cat([kept[..., :-1], folded], -1)
    if n % 2 == 0:
        spectrum = torch.cat([spectrum[..., :-1], spectrum[..., -1:] / 2], -1)
    return functional.pad(spectrum, [0, half - spectrum.shape[-1]])


def resize_spectrum(
    spectrum: Complex[Tensor, "*batch_and_half"], n: int, size: int, dims: int
) -> Complex[Tensor, "*batch_and_new_half"]:
    """Crop or pad the transform of a real square or cube of `n` pixels to that of `size` pixels.

    Coefficients keep their values: divide by (n / size)^dims to keep grey values under torch's unnormalised
    transforms. The Nyquist coefficient of an even size stands for +n/2 and −n/2 together: cropping sums the
    two, padding splits it between them, so that cropping undoes padding (as `scipy.signal.resample` does).

    Parameters
    ----------
    spectrum
        rfftn layout over the last `dims` axes. Phases about index n // 2 (`centred_rfftn`) keep the centre in
        place; for even sizes phases about index 0 do so too.
    n, size
        Old and new real-space edge in pixels.
    dims
        2 for stacks of images, 3 for maps.
    """
    axes = tuple(range(-dims, -1))
    for axis in axes:
        spectrum = _resize_full_axis(spectrum, size, axis)
    return _resize_half_axis(spectrum, n, size, axes)


def fourier_resize(array: Float[Tensor, "*batch_and_grid"], size: int, dims: int) -> Float[Tensor, "*batch_and_new"]:
    """Resample squares or cubes of n pixels to `size` pixels over the same field of view.

    The new pixel size is n / size times the old one. Cropping removes every frequency beyond the new Nyquist
    cube; padding interpolates. Position 0, the centre, and grey values stay.
    """
    n = array.shape[-1]
    if any(edge != n for edge in array.shape[-dims:]):
        raise ValueError(f"equal edges are needed, not {tuple(array.shape[-dims:])}")
    if size == n:
        return array
    spectrum = resize_spectrum(centred_rfftn(array, dims), n, size, dims)
    return centred_irfftn(spectrum, (size,) * dims) * (size / n) ** dims


def resample_map(volume: Float[Tensor, "z y x"], size: int) -> Float[Tensor, "new_z new_y new_x"]:
    """Resample a cubic map to `size` pixels over the same field of view; see `fourier_resize`."""
    return fourier_resize(volume, size, 3)


def _interpolation_matrix(n: int, ratio: float, size: int) -> Float[Tensor, "new old"]:
    """Band-limited interpolation of `n` samples at `size` points `ratio` samples apart, centre on centre."""
    position = (torch.arange(size, dtype=torch.float64) - size // 2) * ratio
    offset = position[:, None] - (torch.arange(n, dtype=torch.float64) - n // 2)[None, :]
    highest = min(n, n / ratio) / 2
    frequency = torch.arange(1, (n - 1) // 2 + 1, dtype=torch.float64)
    frequency = frequency[frequency <= highest]
    matrix = 1 + 2 * torch.cos(2 * torch.pi / n * frequency * offset[..., None]).sum(-1)
    if n % 2 == 0 and highest >= n / 2:
        matrix = matrix + torch.cos(torch.pi * offset)
    inside = (position >= -(n // 2) - 0.5) & (position <= n - n // 2 - 0.5)
    return matrix / n * inside[:, None]


def resample_to_pixel_size(
    volume: Float[Tensor, "z y x"], pixel_size_angstrom: float, new_pixel_size_angstrom: float, size: int
) -> Float[Tensor, "new_z new_y new_x"]:
    """Map on a grid of exactly the wanted pixel size and of `size` pixels, for maps that come from elsewhere.

    Band-limited interpolation, exact for any ratio of pixel sizes; frequencies beyond the new Nyquist are
    removed. Points outside of the old box are zero. Centre and grey values stay.
    """
    ratio = new_pixel_size_angstrom / pixel_size_angstrom
    for axis in (-3, -2, -1):
        matrix = _interpolation_matrix(volume.shape[axis], ratio, size).to(volume)
        volume = torch.movedim(torch.movedim(volume, axis, -1) @ matrix.T, -1, axis)
    return volume
