"""Fourier pixels of a box: each pair of Friedel mates once, inside a circle, the origin left out."""

import pytest
import torch

from mlit.fourier.pixels import FourierPixels


@pytest.mark.parametrize(("box", "resolution"), [(8, 2.0), (16, 6.0), (18, 4.7)])
def test_every_pair_of_mates_is_present_once(box, resolution):
    pixel_size = 1.5
    pixels = FourierPixels.inside(box, pixel_size, resolution)
    found = {tuple(k) for k in (pixels.frequency * box * pixel_size).round().int().tolist()}
    assert len(found) == pixels.count
    half = range(-(box // 2) + 1, box // 2)
    limit = min(box * pixel_size / resolution, box / 2 - 0.5)
    wanted = {(x, y) for x in half for y in half if 0 < (x**2 + y**2) ** 0.5 <= limit}
    assert found | {(-x, -y) for x, y in found} == wanted
    assert len(wanted) == 2 * len(found)


def test_index_addresses_the_half_plane_of_an_image():
    box, pixel_size = 16, 2.5
    pixels = FourierPixels.inside(box, pixel_size, 6.0)
    steps = torch.arange(box) * pixel_size
    for chosen in (0, pixels.count // 2, pixels.count - 1):
        kx, ky = pixels.frequency[chosen]
        wave = torch.cos(2 * torch.pi * (kx * steps[None, :] + ky * steps[:, None]))
        power = torch.fft.rfft2(wave).abs().flatten()[pixels.index]
        assert int(power.argmax()) == chosen


def test_pixels_are_ordered_by_shell():
    pixels = FourierPixels.inside(20, 3.0, 6.0)
    shell = (pixels.radius * 60).round()
    assert bool((shell.diff() >= 0).all())


def test_sum_over_pixels_is_the_integral_over_the_image():
    box, pixel_size = 20, 1.7
    pixels = FourierPixels.inside(box, pixel_size, 2 * pixel_size)
    spectrum = torch.zeros(box * (box // 2 + 1), dtype=torch.complex128)
    generator = torch.Generator().manual_seed(0)
    spectrum[pixels.index] = torch.randn(pixels.count, generator=generator, dtype=torch.complex128)
    image = torch.fft.irfft2(spectrum.reshape(box, -1), s=(box, box)) / pixel_size**2
    values = torch.fft.rfft2(image).flatten()[pixels.index] * pixel_size**2
    total = 2 * values.abs().square().sum() / pixels.area_square_angstrom
    assert torch.allclose(total, image.square().sum() * pixel_size**2)
