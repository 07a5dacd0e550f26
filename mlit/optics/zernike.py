"""Zernike polynomials of spatial frequency, as RELION and M index them, and the powers that they are made of.

The radius is the frequency in 1/Å itself, not a fraction of some disc, so that coefficients do not depend on the
sampling. A polynomial of order n and index m is ``R(n, |m|, k) cos mθ`` for m >= 0 and ``R(n, |m|, k) sin |m|θ``
for m < 0.

At the frequencies of images, well below 1/Å, polynomials of the same m are nearly proportional: each is its lowest
power. Files hold their coefficients; computations use the powers ``k^n cos mθ``, which can be told apart.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

ODD_ORDERS = (1, 3, 5)
EVEN_ORDERS = (2, 4)


def zernike_indices(orders: tuple[int, ...]) -> list[tuple[int, int]]:
    """Pairs (n, m) of some orders, in the order of their coefficients in files."""
    return [(n, m) for n in orders for m in range(-n, n + 1, 2)]


ODD_INDICES = zernike_indices(ODD_ORDERS)
EVEN_INDICES = zernike_indices(EVEN_ORDERS)


def radial_coefficients(n: int, m: int) -> dict[int, int]:
    """Coefficient of each power of the radius in R(n, m)."""
    m = abs(m)
    return {
        n - 2 * k: (-1) ** k
        * math.factorial(n - k)
        // (math.factorial(k) * math.factorial((n + m) // 2 - k) * math.factorial((n - m) // 2 - k))
        for k in range((n - m) // 2 + 1)
    }


def zernike_from_powers(terms: list[tuple[int, int]], indices: list[tuple[int, int]]) -> Float[Tensor, "zernike term"]:
    """Matrix from factors of ``k^n cos mθ`` (``sin |m|θ`` for m < 0) to the coefficients of Zernike polynomials.

    Parameters
    ----------
    terms
        Pairs (n, m) of the powers.
    indices
        Pairs of the polynomials; holds all of the same m up to the order of each term.
    """
    matrix = torch.zeros(len(indices), len(terms), dtype=torch.float64)
    for column, (n, m) in enumerate(terms):
        left = {n: 1.0}  # what is still to be represented, by its power
        for order in range(n, abs(m) - 1, -2):
            radial = radial_coefficients(order, m)
            factor = left.get(order, 0.0) / radial[order]
            matrix[indices.index((order, m)), column] = factor
            left = {power: left.get(power, 0.0) - factor * c for power, c in radial.items()}
    return matrix


def powers_from_zernike(indices: list[tuple[int, int]], terms: list[tuple[int, int]]) -> Float[Tensor, "term zernike"]:
    """Matrix from the coefficients of Zernike polynomials to the factors of the powers that they contain.

    Parameters
    ----------
    indices
        Pairs (n, m) of the polynomials.
    terms
        Pairs of the powers; holds all that occur.
    """
    matrix = torch.zeros(len(terms), len(indices), dtype=torch.float64)
    for column, (n, m) in enumerate(indices):
        for power, factor in radial_coefficients(n, m).items():
            matrix[terms.index((power, m)), column] = factor
    return matrix


def powers(terms: list[tuple[int, int]], frequency_xy: Float[Tensor, "*grid 2"]) -> Float[Tensor, "term *grid"]:
    """Values of ``k^n cos mθ`` (``sin |m|θ`` for m < 0) at frequencies (kx, ky) in 1/Å, in float64."""
    kx, ky = frequency_xy.double().unbind(-1)
    squared = kx.square() + ky.square()
    waves = [_wave(abs(m), kx, ky)[1 if m < 0 else 0] for _, m in terms]
    return torch.stack([wave * squared ** ((n - abs(m)) // 2) for wave, (n, m) in zip(waves, terms, strict=True)])


def _wave(m: int, kx: Tensor, ky: Tensor) -> tuple[Tensor, Tensor]:
    """``k^m cos mθ`` and ``k^m sin mθ``."""
    cosine, sine = torch.ones_like(kx), torch.zeros_like(ky)
    for _ in range(m):
        cosine, sine = cosine * kx - sine * ky, cosine * ky + sine * kx
    return cosine, sine
