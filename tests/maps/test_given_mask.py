import pytest
import torch

from mlit.geometry.map_symmetry import NO_SYMMETRY
from mlit.maps.given_mask import judge_in_mask, mask_kind, on_grid
from mlit.maps.mask import radius_from_centre, spherical_mask

N, PIXEL = 48, 4.0


def noise(seed):
    return torch.randn(N, N, N, generator=torch.Generator().manual_seed(seed))


def halves_of_a_ball():
    signal = 3 * noise(0) * spherical_mask(N, PIXEL, 90.0, 6.0)
    return signal + noise(1), signal + noise(2)


def test_kinds():
    assert mask_kind((radius_from_centre(N, PIXEL) < 40).float()) == "binary"
    assert mask_kind(spherical_mask(N, PIXEL, 80.0, 12.0)) == "soft"


@pytest.mark.parametrize(("pixel", "box"), [(2.0, 96), (6.1, 32), (4.0, 64)])
def test_masks_of_another_pixel_size_keep_their_place_and_kind(pixel, box):
    expected = radius_from_centre(N, PIXEL) < 60
    binary = on_grid((radius_from_centre(box, pixel) < 60).float(), pixel, N, PIXEL)
    assert set(binary.unique().tolist()) == {0.0, 1.0}
    assert float(((binary > 0.5) != expected).float().mean()) < 0.012
    soft = on_grid(spherical_mask(box, pixel, 120.0, 20.0), pixel, N, PIXEL)
    assert 0 <= soft.min() <= soft.max() <= 1
    torch.testing.assert_close(soft, spherical_mask(N, PIXEL, 120.0, 20.0), atol=0.12, rtol=0)


def test_binary_mask_is_grown_and_softened_by_half_the_resolution_times_three():
    tight = (radius_from_centre(N, PIXEL) < 40).float()
    halves = judge_in_mask(*halves_of_a_ball(), PIXEL, tight, None, NO_SYMMETRY, 0)
    margin = 3 * max(PIXEL, halves.curves.resolution_angstrom() / 2)
    radius = radius_from_centre(N, PIXEL)
    mask = halves.mask.mask
    assert float(mask[radius < 40 + margin - 2 * PIXEL].min()) > 0.99
    assert float(mask[radius > 40 + 2 * margin + 2 * PIXEL].max()) < 0.01
    assert float(radius[mask > 0.5].max()) == pytest.approx(40 + 1.5 * margin, abs=1.5 * PIXEL)


def test_soft_mask_is_taken_as_it_is():
    soft = spherical_mask(N, PIXEL, 80.0, 12.0)
    halves = judge_in_mask(*halves_of_a_ball(), PIXEL, soft, None, NO_SYMMETRY, 0)
    assert torch.equal(halves.mask.mask, soft)


def test_mask_is_made_where_none_is_given():
    body = spherical_mask(N, PIXEL, 80.0, 6.0)
    first, second = (20 * body + noise(i) for i in (1, 2))
    made = judge_in_mask(first, second, PIXEL, None, 120.0, NO_SYMMETRY, 0).mask
    assert made.kind == "density"
    assert float(made.mask[body > 0.99].min()) > 0.9
    with pytest.raises(ValueError, match="mask or a diameter"):
        judge_in_mask(first, second, PIXEL, None, None, NO_SYMMETRY, 0)
