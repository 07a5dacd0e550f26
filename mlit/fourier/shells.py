"""Shells of equal frequency over arrays in the layout of ``torch.fft.rfftn``.

Shell s holds the coefficients whose frequency, in cycles per box, rounds to s. Shells 0 to n // 2 are kept;
the corners of the Fourier cube beyond Nyquist belong to none.
"""

from functools import lru_cache

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

CPU = torch.device("cpu")


def shell_frequencies(n: int, pixel_size_angstrom: float) -> Float[Tensor, "shell"]:
    """Frequency of every shell of a box of `n` pixels, in 1/Å (float64)."""
    return torch.arange(n // 2 + 1, dtype=torch.float64) / (n * pixel_size_angstrom)


def frequency_radius(n: int, dims: int = 3, device: torch.device = CPU) -> Float[Tensor, "*grid"]:
    """Length of the frequency of every rfftn coefficient, in cycles per box (float32).

    Parameters
    ----------
    n
        Edge of the square (`dims` = 2) or cubic (`dims` = 3) real-space box in pixels, odd or even.
    dims
        Number of Fourier axes.
    device
        Where the result lies.
    """
    full = torch.fft.fftfreq(n, 1.0 / n, device=device)
    half = torch.fft.rfftfreq(n, 1.0 / n, device=device)
    squared = half.square()
    for _ in range(dims - 1):
        squared = full.square().reshape(-1, *[1] * squared.ndim) + squared
    return squared.sqrt()


@lru_cache(maxsize=8)
def shell_index(n: int, dims: int = 3, device: torch.device = CPU) -> Int[Tensor, "*grid"]:
    """Shell of every rfftn coefficient; n // 2 + 1 marks those beyond Nyquist.

    The tensor (int32) is cached and shared between callers, who must not write to it.
    """
    index = frequency_radius(n, dims, device).round_().to(torch.int32)
    return index.clamp_(max=n // 2 + 1)


def friedel_weights(n: int, device: torch.device = CPU) -> Float[Tensor, "half"]:
    """How many coefficients of the full transform each column of the rfftn layout stands for.

    Columns at kx = 0 and, for even `n`, at Nyquist hold both members of each Friedel pair: weight 1. All
    others hold one of two: weight 2. Multiplies the last axis (float32).
    """
    weights = torch.full((n // 2 + 1,), 2.0, device=device)
    weights[0] = 1.0
    if n % 2 == 0:
        weights[-1] = 1.0
    return weights


def shell_sum(values: Float[Tensor, "*batch_and_grid"], n: int, dims: int = 3) -> Float[Tensor, "*batch shell"]:
    """Sum of real values over the shells of the full transform, every Friedel pair counted twice.

    Parameters
    ----------
    values
        One real number per rfftn coefficient, even under k → −k (such as a power); leading axes are a batch.
    n, dims
        Real-space edge in pixels and number of Fourier axes.

    Returns
    -------
    Sums over shells 0 to n // 2, in the type of `values`. Sums run in double precision where the device has
    it, since a shell can hold a million terms. Differentiable in `values`.
    """
    grid = values.shape[values.ndim - dims :]
    batch = values.shape[: values.ndim - dims]
    index = shell_index(n, dims, values.device)
    if grid != index.shape:
        raise ValueError(f"values of shape {tuple(grid)} are not the rfftn layout {tuple(index.shape)} of {n} pixels")
    wide = values.dtype if values.device.type == "mps" else torch.float64
    weighted = (values.to(wide) * friedel_weights(n, values.device).to(wide)).reshape(-1, index.numel())
    flat, shells = index.reshape(-1), n // 2 + 2
    if weighted.requires_grad or values.device.type != "cpu":
        sums = torch.zeros(weighted.shape[0], shells, dtype=wide, device=values.device)
        sums = sums.index_add(1, flat, weighted)
    else:  # an order of magnitude faster than index_add on a CPU, and not differentiable
        sums = torch.stack([torch.bincount(flat, row, minlength=shells) for row in weighted])
    return sums[:, :-1].reshape(*batch, n // 2 + 1).to(values.dtype)


@lru_cache(maxsize=32)
def shell_counts(n: int, dims: int = 3, device: torch.device = CPU) -> Float[Tensor, "shell"]:
    """Count the coefficients of the full transform in every shell (float32).

    Half of these are independent, since the other half are their complex conjugates. The tensor is cached and
    shared between callers, who must not write to it.
    """
    index = shell_index(n, dims, device)
    single = [index[..., 0], *([index[..., -1]] if n % 2 == 0 else [])]  # columns that hold both of each pair
    counts = 2 * torch.bincount(index.flatten(), minlength=n // 2 + 2)
    for column in single:
        counts -= torch.bincount(column.flatten(), minlength=n // 2 + 2)
    return counts[:-1].float()


def shell_mean(values: Float[Tensor, "*batch_and_grid"], n: int, dims: int = 3) -> Float[Tensor, "*batch shell"]:
    """Mean of real values over shells; see `shell_sum`."""
    return shell_sum(values, n, dims) / shell_counts(n, dims, values.device)


def spectral_power(spectrum: Complex[Tensor, "*grid"]) -> Float[Tensor, "*grid"]:
    """Squared modulus, without the root that `Tensor.abs` takes."""
    return spectrum.real.square() + spectrum.imag.square()


def cube_edge(volume: Float[Tensor, "*batch z y x"]) -> int:
    """Edge of a cubic map in pixels; `ValueError` for any other shape."""
    z, y, x = volume.shape[-3:]
    if not z == y == x:
        raise ValueError(f"a cubic map is needed, not one of shape {(z, y, x)}")
    return x
