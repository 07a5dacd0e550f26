"""Amplitudes against the maximum found by trying."""

import math

import pytest
import torch

from mlit.likelihood.amplitude import fitted_amplitude


@pytest.mark.parametrize("width", [0.25, math.inf])
def test_it_is_the_maximum(width):
    cross, power = torch.tensor([3.0, -2.0, 40.0, 1.0]).double(), torch.tensor([2.0, 5.0, 30.0, 0.5]).double()
    expected = torch.tensor([1.0, 0.5, 0.8, 1.2]).double()
    tried = torch.linspace(0, 4, 4001, dtype=torch.float64)[:, None]
    value = tried * cross - tried**2 * power / 2 - ((tried - expected) / width) ** 2 / 2
    best = tried[value.argmax(0), 0]
    assert torch.allclose(fitted_amplitude(cross, power, expected, width), best, atol=1e-3)


def test_it_is_zero_where_nothing_is_expected_or_seen():
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    assert float(fitted_amplitude(one, one, zero)) == 0
    assert float(fitted_amplitude(zero, zero, one, math.inf)) == 0
