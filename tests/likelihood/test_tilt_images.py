"""Tilt images: grey scale, filter and sampling."""

import dataclasses

import numpy as np
import pytest
import torch

from mlit.likelihood.shade import Shade
from mlit.likelihood.signal_weights import SignalWeights
from mlit.likelihood.tilt_images import TiltImages, even_fast_size, even_size, normalise, weigh
from mlit.optics.dose import bfactor_envelope, critical_exposure_envelope


def white(tilts, height, width, seed=0):
    return torch.randn(tilts, height, width, generator=torch.Generator().manual_seed(seed))


def some_images(height=60, width=76, pixel_size=3.0):
    noise = torch.linspace(3, 0.5, 48).expand(2, -1) * torch.tensor([[1.0], [2.0]])
    return TiltImages(white(2, height, width), pixel_size, noise, torch.tensor([4.0, 60.0]))


def test_normalised_images_are_bright_where_the_camera_saw_less():
    raw = 5 * white(2, 80, 90) + torch.tensor([100.0, -3.0])[:, None, None]
    found = normalise(raw)
    assert torch.allclose(found.mean((1, 2)), torch.zeros(2), atol=1e-4)
    assert torch.allclose(found.std((1, 2)), torch.ones(2), atol=1e-4)
    assert float((found * raw).mean()) < 0


def test_outliers_do_not_set_the_scale():
    raw = white(1, 100, 100)
    spoilt = raw.clone()
    spoilt[0, 5, 5] = 300
    assert torch.allclose(normalise(spoilt)[0, 6:], normalise(raw)[0, 6:], atol=0.02)


def test_a_blank_image_stays_finite():
    assert bool(torch.isfinite(normalise(torch.full((1, 8, 8), 7.0))).all())


def left_half_dark():
    """Shade of the left half of the second of two images of 60 x 80."""
    tiles = torch.zeros(2, 6, 8, dtype=torch.bool)
    tiles[1, :, :4] = True
    return Shade(tiles, 10)


def test_shade_has_no_part_in_the_grey_scale():
    raw = 5 * white(2, 60, 80) + 100
    dimmed = raw.clone()
    dimmed[:, :, :40] *= 0.03
    found = normalise(dimmed, left_half_dark())
    assert torch.equal(found[0], normalise(dimmed)[0])
    assert torch.equal(found[1, :, 40:], normalise(raw[1:, :, 40:])[0])
    assert not found[1, :, :40].any()


def test_images_that_are_all_shade_become_zero():
    assert not normalise(white(2, 60, 80), Shade(torch.ones(2, 6, 8, dtype=torch.bool), 10)).any()


def test_places_in_the_shade_are_not_lit_wherever_the_images_go():
    images = TiltImages(white(2, 60, 80), 3.0, torch.ones(2, 48), torch.zeros(2))
    place = torch.tensor([[30.0, 90.0], [119.0, 90.0], [121.0, 90.0]]).double()[:, None].expand(-1, 2, 2)
    assert images.lit(place).all()
    shaded = dataclasses.replace(images, shade=left_half_dark()).to(torch.device("cpu"))
    assert shaded.lit(place).tolist() == [[True, False], [True, False], [True, True]]


@pytest.mark.parametrize("finest", [8.0, 14.0, 20.0])
def test_transforms_made_before_change_nothing(finest):
    """Fine enough or not."""
    images = some_images()
    made = images.transformed(finest)
    assert made.spectra is not None
    assert (made.spectra.size >= images.side_for(14.0)) == (finest <= 14)
    assert torch.equal(weigh(made, 14.0).pixels, weigh(images, 14.0).pixels)


def test_weighting_matches_an_explicit_filter():
    """At the positions of the coarse pixels, the image filtered at full sampling; (0, 0) stays the corner."""
    images, resolution = some_images(), 14.0
    found = weigh(images, resolution)
    side = even_fast_size(76)
    axis = np.fft.fftfreq(side, 3.0)
    kx, ky = np.meshgrid(axis, axis)
    radius = torch.tensor(np.hypot(kx, ky))
    nyquist = 1 / (2 * found.pixel_size_angstrom)
    assert 1 / resolution < nyquist < 1.2 / resolution
    for tilt in range(2):
        spectrum = np.fft.fft2(images.pixels[tilt].numpy().astype(float), s=(side, side))
        spectrum = spectrum * (images.envelope(radius) / images.noise_density(radius))[tilt].numpy()
        spectrum[(abs(kx) > nyquist + 1e-9) | (abs(ky) > nyquist + 1e-9)] = 0
        place = np.arange(found.pixels.shape[1]) * found.pixel_size_angstrom
        wave = np.exp(2j * np.pi * np.outer(place, axis))
        expected = (wave @ spectrum @ wave.T).real / side**2
        error = np.abs(found.pixels[tilt].numpy() - expected).max()
        assert error < 0.03 * np.abs(expected).max()


def test_fine_resolutions_keep_the_sampling():
    found = weigh(some_images(), 6.0)
    assert found.pixel_size_angstrom == pytest.approx(3.0)
    assert found.pixels.shape == (2, even_fast_size(76), even_fast_size(76))


def test_noise_density_is_power_per_frequency():
    images = some_images()
    density = images.noise_density(torch.tensor([0.5 / 96 / 3.0]))
    assert torch.allclose(density[:, 0], torch.tensor([27.0, 54.0]), rtol=1e-3)


def test_envelope_comes_from_the_exposure_unless_a_bfactor_was_fitted():
    images, frequency = some_images(), torch.tensor([[0.02, 0.05], [0.1, 0.15]])
    assert images.envelope(frequency).shape == (2, 2, 2)
    assert torch.allclose(images.envelope(frequency)[1], critical_exposure_envelope(frequency, torch.tensor(60.0)))
    weights = SignalWeights(tilt_bfactor_angstrom2=torch.tensor([-50.0, -400.0], dtype=torch.float64))
    fitted = TiltImages(images.pixels, 3.0, images.noise, images.dose, weights)
    assert torch.allclose(fitted.envelope(frequency)[0], bfactor_envelope(frequency, torch.tensor(-50.0)))
    assert torch.allclose(fitted.envelope(frequency)[1], bfactor_envelope(frequency, torch.tensor(-400.0)))


def test_flat_images_have_a_signal_that_nothing_weakens():
    weights = SignalWeights(0.5, -30.0, tilt_bfactor_angstrom2=torch.tensor([-50.0, -400.0], dtype=torch.float64))
    flat = dataclasses.replace(some_images(), weights=weights).flat()
    assert torch.equal(flat.envelope(torch.tensor([0.05, 0.15])), torch.ones(2, 2))


def test_weighing_follows_the_direction_of_the_decay():
    """Detail along x loses what detail along y keeps."""
    images = some_images()
    turned = SignalWeights(anisotropy_angstrom2=torch.tensor([[-200.0, 0.0], [0.0, 0.0]], dtype=torch.float64))
    plain, bent = (
        torch.fft.rfft2(weigh(one, 8.0).pixels) for one in (images, dataclasses.replace(images, weights=turned))
    )
    side = plain.shape[1] * weigh(images, 8.0).pixel_size_angstrom
    square = (5 / side) ** 2
    ratio = bent / plain
    assert torch.allclose(ratio[0, 0, 5].real, torch.tensor(-50.0 * square).exp(), rtol=1e-3)
    assert torch.allclose(ratio[0, 5, 0].real, torch.tensor(50.0 * square).exp(), rtol=1e-3)
    assert torch.allclose(ratio[1, 5, :6].real, torch.ones(6), rtol=1e-3)


def test_one_tilt_alone():
    one = some_images().tilt(1)
    assert one.pixels.shape == (1, 60, 76)
    assert float(one.dose) == 60
    assert torch.equal(one.noise, some_images().noise[1:])


def test_sizes_are_even_and_not_below_what_is_asked():
    assert [even_size(v) for v in (7, 8, 8.1, 9.9)] == [8, 8, 10, 10]
    for length in (17, 74.2, 101, 131):
        size = even_fast_size(length)
        assert length <= size < 1.2 * length + 2
        assert size % 2 == 0
        half = size // 2
        for factor in (2, 3, 5, 7, 11):
            while half % factor == 0:
                half //= factor
        assert half == 1
