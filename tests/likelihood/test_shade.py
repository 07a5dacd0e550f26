"""The shade of bars and apertures in tilt images."""

import pytest
import torch

from mlit.likelihood.shade import LEAST_PARTICLES, Shade

HEIGHT, WIDTH, SIDE = 150, 205, 10
Y, X = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
BAR = X < 80


def electrons(beam, seed=0):
    """Counts of a beam that reaches the pixels in part."""
    expected = 40.0 * torch.as_tensor(beam).expand(1, HEIGHT, WIDTH)
    return torch.poisson(expected, generator=torch.Generator().manual_seed(seed))


def behind_bar(remaining=0.03):
    return electrons(torch.where(BAR, remaining, 1.0))


def everywhere(count=60):
    place = torch.rand(count, 1, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return place * torch.tensor([WIDTH, HEIGHT])


def places(*xy):
    return torch.tensor(xy, dtype=torch.float64)[:, None]


def test_a_bar_is_found_with_a_rim_of_one_tile():
    shade = Shade.find(behind_bar(), everywhere(), SIDE)
    assert torch.equal(shade.pixels(0, HEIGHT, WIDTH), X < 80 + SIDE)
    assert (
        shade.at(places((3, 70), (79, 70), (89, 140), (91, 70), (200, 10)))[:, 0].tolist() == [True] * 3 + [False] * 2
    )


@pytest.mark.parametrize(("scale", "offset"), [(7.0, -100.0), (-0.01, 3.0)])
def test_grey_scale_does_not_matter(scale, offset):
    image, where = behind_bar(), everywhere()
    assert torch.equal(Shade.find(scale * image + offset, where, SIDE).tiles, Shade.find(image, where, SIDE).tiles)


def test_each_tilt_has_its_own():
    images = torch.cat([electrons(1.0), behind_bar()])
    tiles = Shade.find(images, everywhere().expand(-1, 2, 2), SIDE).tiles
    assert [bool(tile.any()) for tile in tiles] == [False, True]


@pytest.mark.parametrize(
    "beam",
    [
        1.0,
        0.03,
        torch.where(BAR, 0.5, 1.0),
        torch.logspace(-1.7, 0.0, WIDTH),
        1 + 20.0 * ((X // 5 == 9) & (Y // 5 == 7)),
    ],
    ids=["even", "dark all over", "thicker ice", "wedge of ice", "one bright spot"],
)
@pytest.mark.parametrize("side", [SIDE, 25])
def test_nothing_else_is_taken_for_shade(beam, side):
    assert not Shade.find(electrons(beam), everywhere(), side).tiles.any()


def test_a_light_that_falls_on_few_particles_makes_no_shade():
    dark, light = [(20.0, 75.0)] * 9, [(150.0, 75.0)]
    few, enough = places(*dark, *light), places(*dark, *light * 3)
    assert 1 / 10 < LEAST_PARTICLES < 3 / 12
    assert not Shade.find(behind_bar(), few, SIDE).tiles.any()
    assert Shade.find(behind_bar(), enough, SIDE).tiles.any()


def test_particles_outside_the_image_have_no_say():
    dark, light, inside = [(-30.0, 75.0)] * 20, [(150.0, 400.0)] * 20, [(20.0, 75.0), (150.0, 75.0)]
    assert Shade.find(behind_bar(), places(inside[1], *dark), SIDE).tiles.any()
    assert not Shade.find(behind_bar(), places(inside[0], *light), SIDE).tiles.any()


def test_blank_images_are_all_shade():
    blank = torch.full((1, HEIGHT, WIDTH), 7.0)
    shade = Shade.find(torch.cat([blank, electrons(1.0)]), everywhere().expand(-1, 2, 2), SIDE)
    assert shade.pixels(0, HEIGHT, WIDTH).all()
    assert not shade.tiles[1].any()


def test_blank_parts_are_shade():
    image = electrons(1.0)
    image[:, :, :80] = 40.0
    assert torch.equal(Shade.find(image, everywhere(), SIDE).pixels(0, HEIGHT, WIDTH), X < 80 + SIDE)


def test_pixels_and_places_agree_and_the_last_tile_goes_on():
    tiles = torch.rand(2, HEIGHT // SIDE, WIDTH // SIDE, generator=torch.Generator().manual_seed(2)) > 0.5
    shade = Shade(tiles, SIDE)
    place = torch.stack([X, Y], -1).reshape(-1, 1, 2).expand(-1, 2, 2) + 0.5
    expected = torch.stack([shade.pixels(tilt, HEIGHT, WIDTH).flatten() for tilt in range(2)], 1)
    assert torch.equal(shade.at(place.double()), expected)
    corners = torch.tensor([[-50.0, -1.0], [WIDTH + 50.0, HEIGHT + 50.0]]).double()[:, None].expand(-1, 2, 2)
    assert torch.equal(shade.at(corners), torch.stack([tiles[:, 0, 0], tiles[:, -1, -1]]))


def test_images_smaller_than_a_tile():
    shade = Shade.find(behind_bar()[:, :6, :8], places((3.0, 3.0)), SIDE)
    assert shade.side == 6
    assert not shade.tiles.any()
