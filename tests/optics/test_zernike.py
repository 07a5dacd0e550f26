"""Zernike polynomials against their formula in polar form."""

import math

import pytest
import torch

from mlit.optics.zernike import (
    EVEN_INDICES,
    ODD_INDICES,
    powers,
    powers_from_zernike,
    radial_coefficients,
    zernike_from_powers,
    zernike_indices,
)

ALL = [*ODD_INDICES, *EVEN_INDICES]
TERMS = zernike_indices((0, 1, 2, 3, 4, 5))


def frequencies(count=40):
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def zernike(indices, frequency):
    """Polynomials as the powers that they are made of."""
    return torch.tensordot(powers_from_zernike(indices, TERMS), powers(TERMS, frequency), dims=([0], [0]))


def polar(n, m, frequency):
    """Sum over k of the textbook, with cosine for m >= 0 and sine for m < 0."""
    radius, angle, low = frequency.norm(dim=-1), torch.atan2(frequency[..., 1], frequency[..., 0]), abs(m)
    radial = torch.zeros_like(radius)
    for k in range((n - low) // 2 + 1):
        above, below = math.factorial(n - k), math.factorial(k)
        below *= math.factorial((n + low) // 2 - k) * math.factorial((n - low) // 2 - k)
        radial += (-1) ** k * above / below * radius ** (n - 2 * k)
    return radial * (torch.cos(low * angle) if m >= 0 else torch.sin(low * angle))


def test_order_of_coefficients_in_files():
    assert ODD_INDICES[:6] == [(1, -1), (1, 1), (3, -3), (3, -1), (3, 1), (3, 3)]
    assert EVEN_INDICES == [(2, -2), (2, 0), (2, 2), (4, -4), (4, -2), (4, 0), (4, 2), (4, 4)]
    assert len(ODD_INDICES) == 12


@pytest.mark.parametrize(("n", "m"), ALL)
def test_values_are_those_of_the_formula(n, m):
    assert torch.allclose(zernike([(n, m)], frequencies())[0], polar(n, m, frequencies()), rtol=1e-12)


def test_first_ones_by_hand():
    kx, ky = frequencies().unbind(-1)
    squared = kx**2 + ky**2
    coma, defocus, astigmatism, trefoil = zernike([(3, 1), (2, 0), (2, -2), (3, 3)], frequencies())
    assert torch.allclose(coma, (3 * squared - 2) * kx)
    assert torch.allclose(defocus, 2 * squared - 1)
    assert torch.allclose(astigmatism, 2 * kx * ky)
    assert torch.allclose(trefoil, kx**3 - 3 * kx * ky**2)
    assert radial_coefficients(5, -1) == {5: 10, 3: -12, 1: 3}


def test_smooth_at_zero_frequency():
    origin = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda k: powers(TERMS, k), (origin,))


@pytest.mark.parametrize("indices", [ODD_INDICES, EVEN_INDICES])
def test_powers_come_back_from_their_polynomials(indices):
    terms = [(n, m) for n, m in indices if m != 0]
    there, back = zernike_from_powers(terms, indices), powers_from_zernike(indices, [(0, 0), *indices])
    expected = [[float(term == other) for other in terms] for term in [(0, 0), *indices]]
    assert torch.allclose(back @ there, torch.tensor(expected, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize("indices", [ODD_INDICES, EVEN_INDICES])
def test_powers_are_made_of_polynomials(indices):
    terms = [(n, m) for n, m in indices if m != 0]
    made = torch.tensordot(zernike_from_powers(terms, indices), zernike(indices, frequencies()), dims=([0], [0]))
    radius, angle = frequencies().norm(dim=-1), torch.atan2(frequencies()[:, 1], frequencies()[:, 0])
    for values, (n, m) in zip(made, terms, strict=True):
        wave = torch.cos(m * angle) if m > 0 else torch.sin(-m * angle)
        assert torch.allclose(values, radius**n * wave, atol=1e-12)


def test_a_power_needs_no_higher_order():
    matrix = zernike_from_powers([(3, 1)], ODD_INDICES)[:, 0]
    assert {ODD_INDICES[i]: round(float(matrix[i]), 12) for i in matrix.nonzero().flatten()} == {
        (1, 1): round(2 / 3, 12),
        (3, 1): round(1 / 3, 12),
    }
