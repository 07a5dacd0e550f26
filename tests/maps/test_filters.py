import math

import pytest
import torch

from mlit.fourier.shells import shell_frequencies, shell_mean
from mlit.maps.filters import (
    cosine_step,
    filter_by_shells,
    guinier_fit,
    low_pass,
    sharpen,
)
from mlit.maps.fsc import fourier_shell_correlation, resolution_angstrom

N, PIXEL = 48, 2.5


def power(volume):
    return shell_mean(torch.fft.rfftn(volume, dim=(-3, -2, -1)).abs().square(), N)


def noise(seed, count=1):
    return torch.randn(count, N, N, N, generator=torch.Generator().manual_seed(seed)).squeeze(0)


def test_cosine_step():
    values = cosine_step(torch.tensor([0.0, 0.9, 1.0, 1.1, 2.0]), 1.0, 0.2)
    torch.testing.assert_close(values, torch.tensor([1.0, 1.0, 0.5, 0.0, 0.0]))


def test_low_pass_keeps_what_is_below_and_removes_what_is_above():
    volume = noise(0, 2)
    ratio = power(low_pass(volume, PIXEL, 12.0)) / power(volume)
    frequency = shell_frequencies(N, PIXEL)
    torch.testing.assert_close(ratio[:, frequency < 0.07], torch.ones_like(ratio[:, frequency < 0.07]))
    assert ratio[:, frequency > 0.1].max() < 1e-10


def test_curve_of_ones_changes_nothing_and_a_curve_multiplies_shells():
    volume = noise(1)
    ones = torch.ones(N // 2 + 1)
    torch.testing.assert_close(filter_by_shells(volume, ones), volume, atol=1e-5, rtol=0)
    wave = torch.cos(2 * math.pi * 7 / N * torch.arange(N)).expand(N, N, N)
    curve = torch.linspace(1, 0, N // 2 + 1)
    torch.testing.assert_close(filter_by_shells(wave, curve), wave * curve[7], atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="25 shells"):
        filter_by_shells(volume, torch.ones(N))


def test_guinier_fit_finds_the_decay_and_sharpening_undoes_it():
    volume = noise(2)
    blurred = sharpen(volume, PIXEL, -150.0, 2 * PIXEL)
    fit = guinier_fit(blurred, torch.ones(N // 2 + 1), PIXEL, high_angstrom=5.6)
    flat = guinier_fit(volume, torch.ones(N // 2 + 1), PIXEL, high_angstrom=5.6)
    assert fit.bfactor_angstrom2 - flat.bfactor_angstrom2 == pytest.approx(150, abs=0.5)
    assert 1 / shell_frequencies(N, PIXEL)[fit.fitted].min() <= 10
    assert 1 / shell_frequencies(N, PIXEL)[fit.fitted].max() >= 5.6
    restored = sharpen(blurred, PIXEL, 150.0, 5.6)
    ratio = power(restored) / power(volume)
    inner = shell_frequencies(N, PIXEL) < 0.95 / 5.6 * 0.98
    torch.testing.assert_close(ratio[inner], torch.ones_like(ratio[inner]), atol=1e-3, rtol=0)


def test_guinier_weights_take_noise_away():
    signal = sharpen(noise(3), PIXEL, -300.0, 2 * PIXEL)
    level = power(signal)[20].sqrt() / N**1.5
    halves = [signal + level * noise(seed) for seed in (4, 5)]
    fsc = fourier_shell_correlation(*halves)
    average = (halves[0] + halves[1]) / 2
    fit = guinier_fit(average, fsc, PIXEL, high_angstrom=6.0)
    assert fit.bfactor_angstrom2 == pytest.approx(300, rel=0.08)
    naive = guinier_fit(average, torch.ones_like(fsc), PIXEL, high_angstrom=6.0)
    assert naive.bfactor_angstrom2 < fit.bfactor_angstrom2


def test_guinier_fit_ends_at_the_resolution_of_the_map():
    """A tail of chance correlations beyond it has no part in the decay."""
    signal = sharpen(noise(3), PIXEL, -300.0, 2 * PIXEL)
    level = power(signal)[15].sqrt() / N**1.5
    halves = [signal + level * noise(seed) for seed in (4, 5)]
    fsc = fourier_shell_correlation(*halves)
    resolution = resolution_angstrom(fsc, shell_frequencies(N, PIXEL))
    fsc[-3:] = 0.1
    fit = guinier_fit((halves[0] + halves[1]) / 2, fsc, PIXEL, low_angstrom=20.0)
    assert 1 / float(shell_frequencies(N, PIXEL)[fit.fitted].max()) >= resolution > 2.3 * PIXEL
    assert fit.bfactor_angstrom2 == pytest.approx(300, rel=0.1)


def test_guinier_fit_refuses_a_coarse_map():
    fit = guinier_fit(noise(3), torch.ones(N // 2 + 1), PIXEL, high_angstrom=9.5)
    assert fit.bfactor_angstrom2 is None
    assert not fit.fitted.any()
