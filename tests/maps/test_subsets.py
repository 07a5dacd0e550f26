"""Resolution of parts of the data."""

import pytest
import torch

from mlit.fourier.centred import centred_rfftn
from mlit.fourier.insertion import FourierSums
from mlit.fourier.shells import frequency_radius
from mlit.geometry.map_symmetry import NO_SYMMETRY
from mlit.maps.references import ReferenceSettings, half_maps
from mlit.maps.subsets import Subsets, judge_subsets


def noisy_sums(folds: int) -> FourierSums:
    """Groups of a molecule whose signal decays, under white noise: all weights are one."""
    generator = torch.Generator().manual_seed(3)
    sums = FourierSums.zeros(2 * folds, 64, 4.0, 8.5)
    n = sums.size
    axis = (torch.arange(n) - n // 2).float()
    ball = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2) < (n / 4) ** 2
    density = (torch.rand(n, n, n, generator=generator) + 0.5) * ball
    radius = frequency_radius(n, 3)
    decay = torch.exp(-300.0 * (radius / sums.length_angstrom) ** 2)
    signal = centred_rfftn(density, 3) * decay
    for group in sums.rows:
        noise = 0.3 * centred_rfftn(torch.randn(n, n, n, generator=generator), 3)
        data = torch.fft.fftshift((signal + noise) * radius.clamp(min=1), dim=(0, 1))
        weight = torch.fft.fftshift(radius.clamp(min=1), dim=(0, 1))
        group.copy_(torch.stack([data.real, data.imag, weight], -1).reshape(group.shape))
    return sums


def test_more_particles_bring_resolution():
    sums = noisy_sums(4)
    settings = ReferenceSettings(96.0)
    halves = half_maps(sums, NO_SYMMETRY, settings)
    subsets = judge_subsets(sums, halves, NO_SYMMETRY, 0)
    assert subsets is not None
    assert subsets.share == (0.25, 0.5, 0.75, 1.0)
    assert subsets.resolution_angstrom[-1] == halves.curves.resolution_angstrom(0.143)
    assert subsets.resolution_angstrom[0] > 1.1 * subsets.resolution_angstrom[-1]
    line = subsets.line(1000)
    assert line is not None
    assert 600 < line.decay_angstrom2 < 2400  # 1200 of the signal


def test_a_single_group_has_no_subsets():
    sums = noisy_sums(1)
    halves = half_maps(sums, NO_SYMMETRY, ReferenceSettings(96.0))
    assert judge_subsets(sums, halves, NO_SYMMETRY, 0) is None


def test_the_line_goes_through_what_is_not_at_the_limit():
    decay = 400.0
    squared = [0.01 + 2 / decay * k * 0.6931471805599453 for k in range(4)]
    resolution = tuple(value**-0.5 for value in squared)
    line = Subsets((0.125, 0.25, 0.5, 1.0), resolution, 2.0).line(800)
    assert line is not None
    assert line.decay_angstrom2 == pytest.approx(decay)
    limited = Subsets((0.125, 0.25, 0.5, 1.0), (*resolution[:2], 7.0, 7.0), 7.0).line(800)
    assert limited is not None
    assert limited.decay_angstrom2 == pytest.approx(decay)
    assert Subsets((0.5, 1.0), (7.0, 7.0), 7.0).line(800) is None
