import itertools
import math

import pytest
import torch

from mlit.fourier.shells import frequency_radius
from mlit.maps.filter_bank import bands

N, PIXEL = 40, 3.0


def noise(seed, n=N):
    return torch.randn(n, n, n, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n", [40, 45])
def test_bands_make_up_the_map_again(n):
    volume = noise(0, n)
    spectrum = torch.fft.rfftn(volume)
    frequency = frequency_radius(n, 3) / n
    spectrum = spectrum * (frequency < 0.49)
    whole = sum(band.back(band.part(spectrum, n), n) for band in bands(n, PIXEL, 40.0))
    torch.testing.assert_close(whole, spectrum, atol=2e-3, rtol=0)


def test_bands_cover_all_frequencies_on_grids_that_hold_their_products():
    made = bands(N, PIXEL, 40.0)
    assert made[0].low == 0
    assert 1 / made[0].centre >= 33
    assert made[-1].centre == pytest.approx(0.5 / PIXEL)
    for band in made:
        assert band.size == N or band.size / band.length_angstrom >= 3 * band.high
    ratios = [b.centre / a.centre for a, b in itertools.pairwise(made)]
    assert max(ratios) == pytest.approx(min(ratios))


def test_a_wave_appears_in_its_band_only():
    made = bands(N, PIXEL, 40.0)
    wave = torch.cos(2 * math.pi * 8 / N * torch.arange(N)).expand(N, N, N)
    frequency = 8 / (N * PIXEL)
    power = [float(band.part(torch.fft.rfftn(wave), N).square().mean()) for band in made]
    for band, value in zip(made, power, strict=True):
        assert (value > 1e-6) == (band.low < frequency < band.high)
    assert sum(math.sqrt(2 * value) for value in power) == pytest.approx(1, abs=1e-3)


def test_number_of_independent_values_is_that_of_the_scatter_of_means():
    """Means of products of two noises under a window, against how far such means scatter."""
    band = bands(N, PIXEL, 40.0)[4]
    sigma = 1.3 / band.centre
    frequency, per_volume = band.statistics(sigma)
    assert band.low < frequency < band.high
    axis = (torch.arange(band.size) - band.size // 2) * band.spacing_angstrom
    window = torch.exp(-0.5 * (axis / sigma).square())
    means = []
    for seed in range(150):
        a, b = (band.part(torch.fft.rfftn(noise(2 * seed + i)), N) for i in (0, 1))
        cross, power1, power2 = ((v @ window @ window @ window) for v in (a * b, a * a, b * b))
        means.append(float(cross / (power1 * power2).sqrt()))
    volume = float(window.sum() ** 2 / window.square().sum() * band.spacing_angstrom) ** 3
    assert torch.tensor(means).std() == pytest.approx((volume * per_volume) ** -0.5, rel=0.2)
