"""Central slices against explicit Fourier sums and closed forms."""

import dataclasses

import pytest
import torch

from mlit.fourier.pixels import FourierPixels
from mlit.fourier.slices import ReferenceTable, slices
from mlit.geometry.rotations import matrix_from_rotvec
from tests.brute_force import Blobs, ball_of_noise, direct_transform, plane_coordinates, rotations

BOX, PIXEL = 20, 2.0


@pytest.fixture(scope="module")
def pixels():
    return FourierPixels.inside(BOX, PIXEL, 2.2 * PIXEL)


def points_of(pixels, rotation):
    return torch.einsum("pc,bci->bpi", pixels.frequency.double(), rotation[:, :2])


def as_complex(values, quantity=0):
    """One quantity of slices as complex numbers."""
    return torch.complex(values[:, 0, quantity].double(), values[:, 1, quantity].double())


def relative_error(values, exact):
    return float(((values - exact).abs().square().sum() / exact.abs().square().sum()).sqrt())


@pytest.mark.parametrize(("radius", "limit"), [(0.3, 0.025), (0.4, 0.045)])
def test_slices_and_derivatives_of_noise_match_the_direct_sum(pixels, radius, limit):
    """The error is the interpolation's: 2 % of the amplitude for a ball of 0.3 boxes radius, 4 % for 0.4."""
    maps = torch.stack([ball_of_noise(BOX, radius * BOX, seed) for seed in (0, 1)])
    table = ReferenceTable.from_maps(maps.float(), PIXEL)
    rotation, which = rotations(4), torch.tensor([0, 1, 1, 0])
    values = slices(table, which, rotation, pixels)
    points, coordinate = points_of(pixels, rotation), plane_coordinates(BOX, PIXEL, 3).T
    weights = [torch.ones(BOX**3, dtype=torch.float64), *(-2 * torch.pi * coordinate)]
    for quantity, weight in enumerate(weights):
        parts = [
            direct_transform(maps[m] * weight.reshape(maps[m].shape), PIXEL, k)
            for m, k in zip(which, points, strict=True)
        ]
        assert relative_error(as_complex(values, quantity), torch.stack(parts)) < limit


def test_slices_of_blobs_match_the_closed_form_in_absolute_units(pixels):
    blobs = Blobs.molecule(0.25 * BOX * PIXEL, 1.4 * PIXEL)
    table = ReferenceTable.from_maps(blobs.volume(BOX, PIXEL)[None].float(), PIXEL)
    rotation = rotations(5)
    values = as_complex(slices(table, torch.zeros(5, dtype=torch.long), rotation, pixels))
    assert relative_error(values, blobs.transform(points_of(pixels, rotation))) < 0.02


def test_derivatives_match_finite_differences_of_the_closed_form(pixels):
    blobs = Blobs.molecule(0.25 * BOX * PIXEL, 1.4 * PIXEL)
    table = ReferenceTable.from_maps(blobs.volume(BOX, PIXEL)[None].float(), PIXEL)
    rotation = rotations(3)
    values = slices(table, torch.zeros(3, dtype=torch.long), rotation, pixels)
    points, step = points_of(pixels, rotation), 1e-6
    for axis in range(3):
        offset = torch.zeros(3, dtype=torch.float64)
        offset[axis] = step
        exact = (blobs.transform(points + offset) - blobs.transform(points - offset)) / (2 * step)
        assert relative_error(1j * as_complex(values, 1 + axis), exact) < 0.03


def test_padding_sets_the_error(pixels):
    volume, rotation = ball_of_noise(BOX, 0.4 * BOX), rotations(3)
    exact = torch.stack([direct_transform(volume, PIXEL, k) for k in points_of(pixels, rotation)])
    which = torch.zeros(3, dtype=torch.long)
    errors = []
    for padding in (1, 2, 3):
        table = ReferenceTable.from_maps(volume[None].float(), PIXEL, gradient=False, padding=padding)
        coarse = dataclasses.replace(pixels, frequency=pixels.frequency * 0.9)
        points = points_of(coarse, rotation)
        exact = torch.stack([direct_transform(volume, PIXEL, k) for k in points])
        errors.append(relative_error(as_complex(slices(table, which, rotation, coarse)), exact))
    assert errors[0] > 4 * errors[1] > 6 * errors[2]


def test_odd_boxes_are_centred(pixels):
    blobs = Blobs.molecule(0.25 * BOX * PIXEL, 1.4 * PIXEL)
    table = ReferenceTable.from_maps(blobs.volume(BOX + 1, PIXEL)[None].float(), PIXEL)
    rotation = rotations(3)
    values = as_complex(slices(table, torch.zeros(3, dtype=torch.long), rotation, pixels))
    assert relative_error(values, blobs.transform(points_of(pixels, rotation))) < 0.02


def test_sampling_of_the_reference_does_not_matter(pixels):
    blobs = Blobs.molecule(0.25 * BOX * PIXEL, 1.4 * PIXEL)
    finer = ReferenceTable.from_maps(blobs.volume(32, 0.8 * PIXEL)[None].float(), 0.8 * PIXEL)
    rotation = rotations(3)
    values = as_complex(slices(finer, torch.zeros(3, dtype=torch.long), rotation, pixels))
    assert relative_error(values, blobs.transform(points_of(pixels, rotation))) < 0.02


def test_friedel_mates_are_conjugate(pixels):
    """Half a turn in the plane brings every pixel to its mate; all quantities are transforms of real maps."""
    table = ReferenceTable.from_maps(ball_of_noise(BOX, 7)[None].float(), PIXEL)
    rotation = rotations(3)
    half_turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64))
    which = torch.zeros(3, dtype=torch.long)
    values = slices(table, which, rotation, pixels)
    mates = slices(table, which, half_turn @ rotation, pixels)
    signs = torch.tensor([1.0, -1.0])[:, None, None]
    assert torch.allclose(mates, values * signs, atol=1e-4 * float(values.abs().max()))


def test_a_table_without_derivatives_gives_the_same_slices(pixels):
    maps, rotation = ball_of_noise(BOX, 7)[None].float(), rotations(2)
    which = torch.zeros(2, dtype=torch.long)
    lean = ReferenceTable.from_maps(maps, PIXEL, gradient=False)
    full = ReferenceTable.from_maps(maps, PIXEL)
    assert (lean.rows.shape[1], full.rows.shape[1]) == (2, 8)
    values = slices(lean, which, rotation, pixels)
    assert values.shape == (2, 2, 1, pixels.count)
    assert torch.allclose(values, slices(full, which, rotation, pixels)[:, :, :1])


def test_gradient_by_rotation_passes_gradcheck():
    few = FourierPixels.inside(8, PIXEL, 3.2 * PIXEL)
    few = dataclasses.replace(few, frequency=few.frequency.double() * 1.0137)
    table = ReferenceTable.from_maps(torch.stack([ball_of_noise(8, 3, seed) for seed in (0, 1)]), PIXEL)
    start, which = rotations(2), torch.tensor([1, 0])

    def by_rotation(turn):
        return slices(table, which, matrix_from_rotvec(turn) @ start, few) / 100

    turn = torch.full((2, 3), 0.05, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(by_rotation, (turn,), eps=1e-7, atol=1e-5)


def test_autograd_by_rotation_agrees_with_the_derivative_channels(pixels):
    """The slope of the interpolated function is that of the true one but for 15 % of wiggle."""
    blobs = Blobs.molecule(0.2 * BOX * PIXEL, 1.6 * PIXEL)
    table = ReferenceTable.from_maps(blobs.volume(BOX, PIXEL)[None].float(), PIXEL)
    rotation = rotations(1)[0].float().requires_grad_()
    values = slices(table, torch.zeros(1, dtype=torch.long), rotation[None], pixels)[0].double()
    probe = torch.randn(2, pixels.count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (found,) = torch.autograd.grad((values[:, 0] * probe).sum(), rotation)
    slope = torch.stack([-values[1, 1:], values[0, 1:]]).detach()  # i times the moments
    expected = torch.einsum("cp,cip,pq->qi", probe, slope, pixels.frequency.double())
    assert torch.allclose(found[:2].double(), expected, atol=0.15 * float(expected.abs().max()))
    assert torch.equal(found[2], torch.zeros(3))


def test_pixels_that_magnification_takes_beyond_the_reference_are_zero(pixels):
    """At the end of the memory too; those that stay inside are seen where they belong."""
    blobs = Blobs.molecule(6.0, 2.0)
    coarse = 1.1 * PIXEL
    table = ReferenceTable.from_maps(blobs.volume(18, coarse)[None].float(), coarse)
    upright = matrix_from_rotvec(torch.tensor([[torch.pi / 2, 0, 0], [0, -torch.pi / 2, 0]]).double())
    magnified = torch.cat([torch.tensor([[1.1, 0.0], [0.05, 1.2]]).double() @ upright[:, :2], upright[:, 2:]], 1)
    values = slices(table, torch.zeros(2, dtype=torch.long), magnified, pixels)
    beyond = pixels.radius > 1 / (2 * 1.1 * coarse)
    assert bool(beyond.any())
    assert float(values[..., beyond].abs().max()) == 0
    inside = pixels.radius < 0.9 / (2 * 1.23 * coarse)
    exact = blobs.transform(points_of(pixels, magnified))
    assert relative_error(as_complex(values)[:, inside], exact[:, inside]) < 0.05


def test_pixels_beyond_the_reference_are_zero(pixels):
    """Also where the last map of a table is sliced along z, at the very end of the memory."""
    coarse = 1.3 * PIXEL
    table = ReferenceTable.from_maps(ball_of_noise(16, 5)[None].float(), coarse)
    upright = matrix_from_rotvec(torch.tensor([[torch.pi / 2, 0, 0], [0, -torch.pi / 2, 0]]).double())
    values = slices(table, torch.zeros(2, dtype=torch.long), upright, pixels)
    nyquist = 1 / (2 * coarse)
    beyond = pixels.radius > nyquist
    assert bool(beyond.any())
    assert float(values[..., beyond].abs().max()) == 0
    assert bool((values[..., pixels.radius < 0.93 * nyquist].abs().sum((1, 2)) > 0).all())
