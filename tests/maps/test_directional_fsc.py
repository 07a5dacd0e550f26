import math

import pytest
import torch

from mlit.fourier.shells import frequency_radius
from mlit.maps.directional_fsc import directional_fsc, filter_by_direction
from mlit.maps.directions import CELLS, angle_between, blocks, cell_axes, even_directions
from mlit.maps.fsc import wiener_weights
from mlit.maps.mask import MaskResult, spherical_mask
from mlit.maps.references import HalfMaps

N, PIXEL, POWER = 80, 2.0, 30.0
MASK = spherical_mask(N, PIXEL, 110.0, 10.0)
KZ, KY, KX = torch.meshgrid(torch.fft.fftfreq(N), torch.fft.fftfreq(N), torch.fft.rfftfreq(N), indexing="ij")
COSINE_Z = (KZ / (KX**2 + KY**2 + KZ**2).sqrt().clamp(min=1e-9)).abs()
FREQUENCY = frequency_radius(N, 3) / (N * PIXEL)


def noise(seed):
    return torch.randn(N, N, N, generator=torch.Generator().manual_seed(seed))


def multiplied(volume, factor):
    return torch.fft.irfftn(torch.fft.rfftn(volume) * factor, s=(N, N, N))


def judged(amplitude, seed=0):
    """Half maps of a signal with this amplitude in noise of amplitude 1."""
    signal = multiplied(noise(seed), amplitude)
    pair = [signal + noise(seed + 1), signal + noise(seed + 2)]
    return signal, HalfMaps.judge(*pair, PIXEL, MaskResult(MASK, "density", float(MASK.mean())), 1)


def directional(halves):
    return directional_fsc(halves.first, halves.second, MASK, halves.curves, halves.independent_fraction)


def expected_resolution(directions, bfactor):
    """Where the mean of POWER · exp(−B s² / 2) over a cone falls to the ratio that correlates by 0.143."""
    angle = angle_between(directions, cell_axes()) * (90 / 40)
    area = cell_axes()[:, 0].acos().sin()
    weight = angle.clamp(max=math.pi / 2).cos().square() * area
    weight = weight / weight.sum(1, keepdim=True)
    frequency = torch.linspace(0.05, 0.25, 2001).double()
    ratio = weight @ (POWER * torch.exp(-bfactor(cell_axes())[:, None] / 2 * frequency**2))
    return 1 / frequency[(ratio > 0.143 / 0.857).sum(1)]


def test_directions_are_evenly_spread_over_half_a_sphere():
    directions = even_directions(100)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(100).double())
    nearest = (angle_between(directions, directions) + 10 * torch.eye(100)).amin(1)
    assert math.degrees(nearest.min()) > 10
    assert math.degrees(nearest.max()) < 18
    assert math.degrees(angle_between(cell_axes(), directions).amin(1).max()) < 14


def test_cells_hold_the_coefficients_near_their_axes():
    axes, count = cell_axes(), 0
    for block in blocks(N):
        planes = torch.stack([KX[block.planes], KY[block.planes], KZ[block.planes]], -1).double() * N
        torch.testing.assert_close(block.radius.double(), planes.norm(dim=-1), atol=1e-4, rtol=0)
        cosine = (planes * axes[block.cell]).sum(-1) / planes.norm(dim=-1).clamp(min=1e-9)
        assert math.degrees(cosine[block.radius > 0].clamp(max=1).acos().max()) < 2.2
        assert int(block.cell.max()) < CELLS
        count += block.cell.numel()
    assert count == KX.numel()


@pytest.mark.parametrize("seed", [0, 10])
def test_equal_directions_differ_by_chance_only(seed):
    _, halves = judged(POWER**0.5 * torch.exp(-300 / 4 * FREQUENCY**2), seed)
    found = directional(halves)
    expected = expected_resolution(found.directions, lambda axes: 300 + 0 * axes[:, 2])
    assert float(found.resolution_angstrom.mean()) == pytest.approx(float(expected.mean()), rel=0.03)
    assert 0.4 < float(found.resolution_angstrom.std()) / found.chance_angstrom < 1.6
    assert found.ratio < 1.12


def test_known_anisotropy_is_found_along_every_direction():
    """B grows from 300 Å² across z to 750 Å² along it."""
    bfactor = 300 * (1 + 1.5 * COSINE_Z**2)
    _, halves = judged(POWER**0.5 * torch.exp(-bfactor / 4 * FREQUENCY**2))
    found = directional(halves)
    expected = expected_resolution(found.directions, lambda axes: 300 * (1 + 1.5 * axes[:, 2] ** 2))
    error = found.resolution_angstrom - expected
    assert error.abs().max() < 4 * found.chance_angstrom
    assert (error / expected).mean().abs() < 0.03
    assert expected.max() / expected.min() > 1.3
    assert found.directions[found.worst, 2].abs() > 0.8
    assert found.directions[found.best, 2].abs() < 0.5
    assert found.ratio == pytest.approx(float(expected.max() / expected.min()), rel=0.1)


def test_missing_cone_is_left_out_of_the_map_and_the_rest_is_kept():
    """Nothing but noise within 50° of z."""
    amplitude = POWER**0.5 * torch.exp(-300 / 4 * FREQUENCY**2) * (math.cos(math.radians(50)) > COSINE_Z)
    signal, halves = judged(amplitude)
    found = directional(halves)
    along, across = found.directions[:, 2].abs() > 0.97, found.directions[:, 2].abs() < 0.3
    assert found.resolution_angstrom[along].min() > 9
    assert found.resolution_angstrom[across].max() < 7
    weights = wiener_weights(halves.curves.corrected, "full", halves.independent_fraction)
    average = (halves.first + halves.second) / 2
    spectrum = torch.fft.rfftn(filter_by_direction(average, weights, found)).abs() / torch.fft.rfftn(average).abs()
    band = (FREQUENCY > 0.13) & (FREQUENCY < 0.16)
    assert spectrum[band & (COSINE_Z > 0.97)].max() < 0.1
    assert spectrum[band & (COSINE_Z < 0.4)].min() > 0.3
    plain = multiplied(average, weights[frequency_radius(N, 3).round().long().clamp(max=N // 2)])
    errors = [((v - signal) * MASK).square().mean() for v in (filter_by_direction(average, weights, found), plain)]
    assert errors[0] < errors[1]


def test_curves_agree_with_brute_force():
    _, halves = judged(POWER**0.5 * torch.exp(-300 / 4 * FREQUENCY**2))
    found = directional(halves)
    spectra = [torch.fft.fftn((half * MASK).double()) for half in (halves.first, halves.second)]
    k = torch.fft.fftfreq(N).double() * N
    vector = torch.stack(torch.meshgrid(k, k, k, indexing="ij")[::-1], -1)
    radius = vector.norm(dim=-1)
    for number in (3, 60):
        angle = ((vector @ found.directions[number]) / radius.clamp(min=1e-9)).abs().clamp(max=1).acos()
        weight = (angle * 180 / math.pi * (90 / 40)).clamp(max=90).mul(math.pi / 180).cos().square()
        for shell in (12, 25):
            w = weight * (radius.round() == shell)
            cross = (w * (spectra[0] * spectra[1].conj()).real).sum()
            masked = cross / ((w * spectra[0].abs() ** 2).sum() * (w * spectra[1].abs() ** 2).sum()).sqrt()
            random = float(halves.curves.randomised[shell])
            corrects = shell >= halves.curves.first_corrected_shell
            value = (masked - random) / (1 - random) if corrects else masked
            assert float(found.curves[number, shell]) == pytest.approx(float(value), abs=0.02)


def test_threads_make_no_difference(monkeypatch):
    halves, found = judged(POWER**0.5 * torch.exp(-300 / 4 * FREQUENCY**2))[1], []
    for cores in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", cores)
        found.append(directional(halves))
    torch.testing.assert_close(found[0].curves, found[1].curves, rtol=0, atol=1e-12)
    assert found[0].resolution_angstrom.tolist() == pytest.approx(found[1].resolution_angstrom.tolist())
