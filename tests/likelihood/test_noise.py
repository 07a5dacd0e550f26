"""Noise power around the particles."""

import torch

from mlit.likelihood.noise import BINS, interpolate_power, noise_power, radial_bins


def white(tilts, height, width, seed=0):
    return torch.randn(tilts, height, width, generator=torch.Generator().manual_seed(seed))


def spread(particles, tilts, height, width):
    place = torch.rand(particles, tilts, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return place * torch.tensor([width, height])


def test_white_noise_of_variance_one_has_power_one():
    power = noise_power(white(2, 300, 260), spread(60, 2, 300, 260), 64)
    assert power.shape == (2, BINS)
    assert torch.allclose(power[:, 4:], torch.ones(2, BINS - 4), atol=0.12)
    assert abs(float(power[:, 4:].mean()) - 1) < 0.02


def test_scale_of_each_tilt_is_its_own():
    images = white(2, 200, 200) * torch.tensor([1.0, 3.0])[:, None, None]
    power = noise_power(images, spread(60, 2, 200, 200), 64)
    ratio = power[1, 4:].mean() / power[0, 4:].mean()
    assert abs(float(ratio) / 9 - 1) < 0.1


def test_noise_is_measured_in_the_light_where_there_is_any():
    images, place = white(2, 200, 200), spread(60, 2, 200, 200)
    images[:, :, :120] *= 0.1
    lit = place[..., 0] > 152
    lit[:, 1] = False
    power = noise_power(images, place, 64, lit)[:, 4:].mean(1)
    assert abs(float(power[0]) - 1) < 0.1
    assert torch.equal(power[1], noise_power(images, place, 64)[1, 4:].mean())


def test_coloured_noise_shows_its_spectrum():
    side = 384
    frequency = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None])
    envelope = torch.exp(-3 * frequency) + 0.05
    images = torch.fft.irfft2(torch.fft.rfft2(white(1, side, side)) * envelope, s=(side, side))
    power = noise_power(images, spread(80, 1, side, side), 64)
    checked = torch.linspace(0.06, 0.48, 20)
    expected = (torch.exp(-3 * checked) + 0.05).square()
    assert torch.allclose(interpolate_power(power, checked)[0] / expected, torch.ones(20), atol=0.15)


def test_boxes_near_the_border_are_moved_inside():
    """A particle in a corner measures what is there, not the padding."""
    images = white(1, 100, 120)
    corner = torch.tensor([[[0.0, 0.0]], [[119.0, 99.0]], [[-50.0, 400.0]]], dtype=torch.float64)
    power = noise_power(images, corner, 64)
    assert 0.7 < float(power[:, 4:].mean()) < 1.3


def test_boxes_larger_than_the_image_shrink_to_it():
    power = noise_power(white(1, 50, 60), torch.tensor([[[30.0, 25.0]]], dtype=torch.float64), 200)
    assert bool(torch.isfinite(power).all())
    assert 0.6 < float(power[:, 4:].mean()) < 1.5


def test_an_empty_band_has_a_floor():
    """Images filtered beyond half the Nyquist frequency keep a power above zero, so that division is safe."""
    side = 256
    spectrum = torch.fft.rfft2(white(1, side, side))
    frequency = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None])
    images = torch.fft.irfft2(spectrum * (frequency < 0.35), s=(side, side))
    power = noise_power(images, spread(40, 1, side, side), 64)
    assert float(power.min()) > 1e-4 * float(power.median())


def test_interpolation_is_linear_between_bin_centres_and_constant_outside():
    power = torch.arange(BINS, dtype=torch.float32)[None] + 1
    centres = (torch.arange(BINS) + 0.5) / (2 * BINS)
    assert torch.allclose(interpolate_power(power, centres)[0, :-1], power[0, :-1], atol=1e-3)
    between = (torch.arange(BINS - 1) + 1.0) / (2 * BINS)
    assert torch.allclose(interpolate_power(power, between)[0], power[0, :-1] + 0.5, atol=1e-3)
    outside = interpolate_power(power, torch.tensor([0.0, 0.7]))[0]
    assert torch.allclose(outside, torch.tensor([1.0, float(BINS)]), atol=2e-3)
    assert interpolate_power(power.expand(3, -1), torch.zeros(4, 5)).shape == (3, 4, 5)


def test_bins_grow_with_frequency_up_to_the_last():
    bins = radial_bins(32, torch.device("cpu"))
    assert bins.shape == (32, 17)
    assert (int(bins[0, 0]), int(bins[0, 8]), int(bins[16, 16])) == (0, BINS // 2, BINS - 1)
    assert torch.equal(bins[1], bins[31])


def test_particles_handled_in_parts_give_the_same(monkeypatch):
    images, place = white(1, 100, 120), spread(7, 1, 100, 120)
    whole = noise_power(images, place, 32)
    monkeypatch.setattr("mlit.likelihood.noise.PATCH_PIXELS_PER_CHUNK", 2 * 32**2)
    assert torch.allclose(noise_power(images, place, 32), whole, rtol=1e-5)
