"""Local resolution and local filters on maps whose resolution and decay are known at every place."""

import math

import pytest
import torch

from mlit.fourier.shells import frequency_radius
from mlit.geometry.map_symmetry import NO_SYMMETRY, Symmetry
from mlit.maps.filter_bank import bands
from mlit.maps.filters import filter_by_shells
from mlit.maps.fsc import wiener_weights
from mlit.maps.local_filter import LocalDecay, filter_locally, local_decay
from mlit.maps.local_grid import LocalGrid
from mlit.maps.local_resolution import _flattened, _judge, local_resolution
from mlit.maps.mask import MaskResult, spherical_mask
from mlit.maps.references import HalfMaps

N, PIXEL, POWER = 80, 2.0, 30.0
MASK = spherical_mask(N, PIXEL, 130.0, 8.0)
BODY = spherical_mask(N, PIXEL, 124.0, 6.0)
CORE = spherical_mask(N, PIXEL, 110.0, 1.0) > 0.5
ALONG_X = ((torch.arange(N) - N // 2) * PIXEL).expand(N, N, N)
FREQUENCY = frequency_radius(N, 3) / (N * PIXEL)
SHARP, BLURRED = 150.0, 500.0


def noise(seed):
    return torch.randn(N, N, N, generator=torch.Generator().manual_seed(seed))


def faded(volume, bfactor):
    decay = POWER**0.5 * torch.exp(-bfactor / 4 * FREQUENCY**2)
    return torch.fft.irfftn(torch.fft.rfftn(volume) * decay, s=(N, N, N))


def expected_resolution(bfactor):
    return 1 / math.sqrt(2 * math.log(POWER / (0.143 / 0.857)) / bfactor)


@pytest.fixture(scope="module")
def two_regions():
    """Signal and half maps: B of 150 Å² on the right, 500 Å² on the left, equal noise."""
    right = torch.sigmoid(ALONG_X / 3)
    white = noise(0)
    signal = (faded(white, SHARP) * right + faded(white, BLURRED) * (1 - right)) * BODY
    return signal, signal + noise(1), signal + noise(2)


@pytest.fixture(scope="module")
def analysis(two_regions):
    return local_resolution(*two_regions[1:], MASK, PIXEL, 5.0, NO_SYMMETRY)


def sides():
    return CORE & (ALONG_X > 20), CORE & (ALONG_X < -20)


def test_each_region_has_its_own_resolution(analysis):
    resolution = analysis.on_map(analysis.resolution_angstrom, analysis.coarsest_angstrom)
    right, left = sides()
    assert float(resolution[right].median()) == pytest.approx(max(expected_resolution(SHARP), 2.15 * PIXEL), rel=0.05)
    assert float(resolution[left].median()) == pytest.approx(expected_resolution(BLURRED), rel=0.1)
    assert resolution[right].quantile(0.9) < resolution[left].quantile(0.1)
    assert (resolution[spherical_mask(N, PIXEL, 190.0, 1.0) < 0.5] == analysis.coarsest_angstrom).all()


def test_local_decay_follows_the_regions(analysis):
    decay = local_decay(analysis, low_angstrom=25.0)
    right, left = (float(analysis.on_map(analysis.resolution_angstrom, 99.0)[side].median()) for side in sides())
    assert float(decay.at(torch.tensor([right]), 0.0)) == pytest.approx(SHARP, rel=0.2)
    assert float(decay.at(torch.tensor([left]), 0.0)) == pytest.approx(BLURRED, rel=0.2)


def test_local_filter_beats_the_filter_of_the_whole_map_on_both_sides(two_regions, analysis):
    signal, first, second = two_regions
    average = (first + second) / 2
    halves = HalfMaps.judge(first, second, PIXEL, MaskResult(MASK, "density", float(MASK.mean())), 1)
    whole = filter_by_shells(average, wiener_weights(halves.curves.corrected, "full", halves.independent_fraction))
    local = filter_locally(average, analysis, torch.zeros_like(analysis.resolution_angstrom))
    for side, gain in zip(sides(), (1.0, 0.6), strict=True):
        errors = [(volume - signal)[side].square().mean() for volume in (local, whole)]
        assert errors[0] < gain * errors[1]


def test_gain_multiplies_the_bands(two_regions, analysis):
    average = (two_regions[1] + two_regions[2]) / 2
    zero = torch.zeros_like(analysis.resolution_angstrom)
    plain, sharp = (filter_locally(average, analysis, zero + gain) for gain in (0.0, 100.0))
    power = [torch.fft.rfftn(v * CORE).abs().square() for v in (plain, sharp)]
    for frequency in (0.08, 0.14):
        shell = (FREQUENCY - frequency).abs() < 0.01
        ratio = float((power[1][shell].sum() / power[0][shell].sum()).log())
        assert ratio == pytest.approx(2 * 100 / 4 * frequency**2, rel=0.15)


def test_white_noise_has_no_resolution_anywhere():
    resolved = 0.0
    for seed in range(4):
        found = local_resolution(noise(seed), noise(seed + 10), MASK, PIXEL, 16.0, NO_SYMMETRY)
        resolved += float(found.resolved[0].float().sum() / found.inside.sum()) / 4
        assert (found.resolution_angstrom[~found.resolved[0]] == found.coarsest_angstrom).all()
    assert resolved < 0.005
    assert not len(local_decay(found).resolution_angstrom)


@pytest.mark.parametrize("group", ["C1", "C4"])
def test_threshold_is_three_standard_deviations_of_noise(group):
    """At a point on the axis, where a window sees every number four times in a map of fourfold symmetry."""
    n, symmetry = 41, Symmetry.named(group)
    mask = spherical_mask(n, 4.0, 140.0, 8.0)
    grid = LocalGrid.around(mask, 4.0, 5)
    band, centre = bands(grid.size, 4.0, 30.0)[2], grid.points // 2
    generator = torch.Generator().manual_seed(0)
    found, thresholds = [], []
    for _ in range(100):
        pair = torch.randn(2, n, n, n, generator=generator)
        pair = sum(torch.rot90(pair, k, (2, 3)) for k in range(len(symmetry)))
        judged = _judge(band, _flattened(grid.cut(pair[0]), grid.cut(pair[1])), grid.cut(mask), grid, symmetry)
        found.append(judged.correlation[centre, centre, centre])
        thresholds.append(judged.correlation[centre, centre, centre] - judged.margin[centre, centre, centre])
    assert float(torch.stack(found).std()) * 3 == pytest.approx(float(thresholds[0]), rel=0.2)


def test_padding_and_the_mask_agree_with_nothing():
    """Half maps of noise that are zero outside of a sphere, as M's are, and a mask beyond its border."""
    sphere = spherical_mask(N, PIXEL, 90.0, 1.0)
    found = local_resolution(noise(5) * sphere, noise(6) * sphere, MASK, PIXEL, 8.0, NO_SYMMETRY)
    assert found.resolved[0].float().mean() < 2e-3


def test_equal_maps_are_resolved_to_the_end():
    volume = noise(5)
    found = local_resolution(volume, volume, MASK, PIXEL, 5.0, NO_SYMMETRY)
    inside = found.on_map(found.resolution_angstrom, 99.0)[MASK > 0.5]
    assert float(inside.max()) < 2.2 * PIXEL


def test_decay_between_and_beyond_the_classes():
    decay = LocalDecay(torch.tensor([4.0, 8.0]), torch.tensor([100.0, 200.0]))
    torch.testing.assert_close(
        decay.at(torch.tensor([2.0, 4.0, 5.0, 8.0, 20.0]), 7.0), torch.tensor([100.0, 100.0, 125.0, 200.0, 200.0])
    )
    assert float(LocalDecay(torch.zeros(0), torch.zeros(0)).at(torch.tensor([5.0]), 7.0)) == 7.0
    assert float(LocalDecay(torch.tensor([4.0]), torch.tensor([90.0])).at(torch.tensor([9.0]), 7.0)) == 90.0
