"""All of the analysis together, on a molecule with a flat spectrum that a known B factor has blurred."""

import pytest
import torch

from mlit.fourier.shells import frequency_radius
from mlit.geometry.map_symmetry import NO_SYMMETRY
from mlit.maps.filters import low_pass
from mlit.maps.mask import MaskResult, spherical_mask
from mlit.maps.postprocessing import postprocess
from mlit.maps.references import HalfMaps

N, PIXEL, BFACTOR = 72, 1.5, 120.0
BODY, MASK = spherical_mask(N, PIXEL, 72.0, 4.0), spherical_mask(N, PIXEL, 84.0, 8.0)
FREQUENCY = frequency_radius(N, 3) / (N * PIXEL)


def noise(seed):
    return torch.randn(N, N, N, generator=torch.Generator().manual_seed(seed))


def judged(first, second):
    return HalfMaps.judge(first, second, PIXEL, MaskResult(MASK, "density", float(MASK.mean())), 1)


@pytest.fixture(scope="module")
def sharp():
    return 6 * noise(0) * BODY


@pytest.fixture(scope="module")
def halves(sharp):
    blurred = torch.fft.irfftn(torch.fft.rfftn(sharp) * torch.exp(-BFACTOR / 4 * FREQUENCY**2), s=(N, N, N))
    return judged(blurred + noise(1), blurred + noise(2))


@pytest.fixture(scope="module")
def results(halves):
    return postprocess(halves, NO_SYMMETRY)


def test_bfactor_of_the_map_is_found_globally_and_locally(results):
    assert results.maps.decay_angstrom2 == pytest.approx(BFACTOR, rel=0.1)
    assert float(results.local.decay_angstrom2[MASK > 0.5].median()) == pytest.approx(BFACTOR, rel=0.2)


def test_sharpened_maps_have_a_flat_spectrum_again(results, sharp):
    for volume in (results.maps.sharp, results.local.filtered, results.anisotropic):
        ratio = torch.fft.rfftn(volume * MASK).abs().square() / torch.fft.rfftn(sharp).abs().square().mean()
        levels = [float(ratio[(FREQUENCY - f).abs() < 0.01].mean()) for f in (0.06, 0.12, 0.18)]
        assert max(levels) / min(levels) < 1.8
        assert levels[0] == pytest.approx(1, rel=0.35)


def test_given_bfactor_is_used_in_place_of_the_fitted_one(halves, results):
    given = postprocess(halves, NO_SYMMETRY, 0.0)
    cut = low_pass(given.maps.filtered, PIXEL, halves.curves.resolution_angstrom())
    torch.testing.assert_close(given.maps.sharp, cut, atol=1e-4, rtol=0)
    assert given.maps.decay_angstrom2 == 0.0
    assert float(given.local.decay_angstrom2.abs().max()) == 0.0
    assert given.local.filtered.std() < 0.8 * results.local.filtered.std()


def test_noise_ends_with_nothing():
    found = postprocess(judged(noise(3), noise(4)), NO_SYMMETRY)
    assert found.directional is found.anisotropic is found.local is None
    assert not found.maps.filtered.any()
    assert not found.maps.sharp.any()
