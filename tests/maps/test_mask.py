import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from mlit.maps.filters import cosine_step, low_pass
from mlit.maps.mask import mask_margin_angstrom, radius_from_centre, soft_mask, soften, spherical_mask

N, PIXEL = 64, 6.0


def grid(n=N):
    axis = (np.arange(n) - n // 2) * PIXEL
    return axis[None, None], axis[None, :, None], axis[:, None, None]


def shape(name):
    """Binary body within 200 Å, given as a boolean array z, y, x."""
    x, y, z = grid()
    r = np.sqrt(x**2 + y**2 + z**2)
    if name == "ball":
        return r < 70
    if name == "hollow":
        return (r < 95) & (r > 65)
    if name == "rod":
        return (np.hypot(x, y) < 22) & (np.abs(z) < 90)
    if name == "ring":
        angle = np.arctan2(y, x)
        centre = np.round(angle / (math.pi / 3)) * math.pi / 3
        return (x - 72 * np.cos(centre)) ** 2 + (y - 72 * np.sin(centre)) ** 2 + z**2 < 20**2
    raise ValueError(name)


def neighbours(seed=0):
    """Other bodies, smeared by averaging, from 125 Å outwards to the edge of the box."""
    rng = np.random.default_rng(seed)
    x, y, z = grid()
    density = np.zeros((N, N, N))
    for _ in range(40):
        direction = rng.normal(size=3)
        cx, cy, cz = direction / np.linalg.norm(direction) * rng.uniform(170, 320)
        density += np.exp(-((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) / 2 / 35.0**2)
    return density / density.max()


def noisy_map(body, noise, crowd, seed=0):
    """Body at unit density, with crowd and with noise of that many units after a 25 Å low-pass."""
    rng = torch.Generator().manual_seed(seed)
    volume = low_pass(torch.from_numpy(body.astype(np.float32)), PIXEL, 20.0)
    white = torch.randn(N, N, N, generator=rng)
    white = white / low_pass(white, PIXEL, 25.0).std()
    return volume + noise * white + crowd * torch.from_numpy(neighbours(seed).astype(np.float32))


def test_sphere():
    mask = spherical_mask(32, 2.0, 30.0, 10.0)
    radius = radius_from_centre(32, 2.0)
    assert radius[16, 16, 16] == 0
    assert mask[radius <= 15].min() > 1 - 1e-6
    assert mask[radius >= 25].max() < 1e-6
    assert float(mask[16, 16, 26]) == pytest.approx(0.5, abs=1e-3)


def test_soften_grows_and_fades_in_angstrom():
    binary = np.zeros((32, 32, 32), dtype=bool)
    binary[16, 16, 16] = True
    mask = soften(binary, 2.0, 8.0, 6.0)
    line = mask[16, 16, 16:]
    assert line[:5].min() > 1 - 1e-6
    assert float(line[5]) == pytest.approx(0.75, abs=1e-3)
    assert line[7:].max() < 1e-6


def test_soften_near_the_mask_equals_soften_of_the_whole_box():
    binary = np.zeros((24, 26, 28), dtype=bool)
    binary[0:3, 20:24, 13:15] = True
    binary[5, 18, 9] = True
    distance = torch.from_numpy(ndimage.distance_transform_edt(~binary, sampling=2.0).astype(np.float32))
    torch.testing.assert_close(soften(binary, 2.0, 8.0, 6.0), cosine_step(distance, 11.0, 6.0), rtol=0, atol=0)


def test_margin_is_that_of_m_at_fine_resolution():
    assert mask_margin_angstrom(1.0, 8.0) == pytest.approx(12.0)
    assert mask_margin_angstrom(3.0, 4.0) == pytest.approx(9.0)
    assert mask_margin_angstrom(2.0, 30.0) == pytest.approx(15.0)


@pytest.mark.parametrize("name", ["ball", "hollow", "rod", "ring"])
@pytest.mark.parametrize("noise", [0.0, 0.12])
@pytest.mark.parametrize("crowd", [0.0, 0.5])
def test_mask_covers_the_body_and_not_much_more(name, noise, crowd):
    body = shape(name)
    result = soft_mask(noisy_map(body, noise, crowd), PIXEL, 200.0, 25.0)
    mask = result.mask.numpy()
    assert result.kind == "density"
    assert mask[body].mean() > 0.99
    assert (mask[body] > 0.9).mean() > 0.97
    far = ndimage.distance_transform_edt(~body, sampling=PIXEL) > 60
    assert mask[far].mean() < 0.03
    assert result.volume_fraction == pytest.approx(float(mask.mean()), rel=1e-4)
    assert result.volume_fraction < float(spherical_mask(N, PIXEL, 200.0, 18.0).mean())


@pytest.mark.parametrize("crowd", [0.0, 0.5])
def test_a_weak_part_is_kept(crowd):
    body = shape("ball").astype(float)
    x, y, z = grid()
    arm = (np.hypot(y, z) < 20) & (x > 60) & (x < 95)
    result = soft_mask(noisy_map(np.maximum(body, 0.45 * arm), 0.08, crowd), PIXEL, 200.0, 25.0)
    assert (result.mask.numpy()[arm] > 0.9).mean() > 0.97


def test_a_neighbour_that_reaches_into_the_sphere_is_left_out():
    body = shape("rod")
    x, y, z = grid()
    neighbour = (x - 130) ** 2 + y**2 + z**2 < 50**2
    result = soft_mask(noisy_map(body | neighbour, 0.05, 0.0), PIXEL, 200.0, 25.0)
    assert result.mask.numpy()[neighbour].mean() < 0.05
    assert result.mask.numpy()[body].mean() > 0.99


@pytest.mark.parametrize("crowd", [0.0, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noise_gives_the_sphere(crowd, seed):
    result = soft_mask(noisy_map(np.zeros((N, N, N)), 1.0, crowd, seed), PIXEL, 200.0, 25.0)
    assert result.kind == "sphere"
    torch.testing.assert_close(result.mask, spherical_mask(N, PIXEL, 200.0, 18.0), atol=1e-5, rtol=0)


def test_empty_and_spherically_masked_maps():
    assert soft_mask(torch.zeros(N, N, N), PIXEL, 200.0, 25.0).kind == "sphere"
    body = shape("ball")
    volume = noisy_map(body, 0.1, 0.0) * spherical_mask(N, PIXEL, 300.0, 20.0)
    result = soft_mask(volume, PIXEL, 200.0, 25.0)
    assert result.kind == "density"
    assert (result.mask.numpy()[body] > 0.9).mean() > 0.97


def test_a_box_hardly_larger_than_the_molecule():
    body = shape("ball")[8:-8, 8:-8, 8:-8]
    volume = noisy_map(shape("ball"), 0.1, 0.0)[8:-8, 8:-8, 8:-8]
    result = soft_mask(volume, PIXEL, 260.0, 25.0)
    assert result.kind == "density"
    assert (result.mask.numpy()[body] > 0.9).mean() > 0.97
    assert float(result.mask[0].max()) == pytest.approx(0, abs=1e-6)
