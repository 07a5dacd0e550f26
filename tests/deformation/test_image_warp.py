"""Deformation of the image plane."""

import dataclasses

import pytest
import torch

from mlit.deformation.image_warp import ImageWarp, resample_grid
from mlit.geometry.tilt_grid import evaluate_tilt_grid
from tests.brute_force import imaging_of


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def block_on(geometry, grid=(2, 3)):
    return ImageWarp(imaging_of(geometry), grid, shift_prior_angstrom=8.0, warp_prior_angstrom=3.0, smoothness=0.5)


@pytest.mark.parametrize(("old", "new"), [((4, 3, 2), (4, 5, 3)), ((4, 4, 1), (4, 7, 2)), ((4, 1, 1), (4, 4, 6))])
def test_a_grid_that_holds_the_old_nodes_keeps_the_spline(old, new):
    nodes = random(*old, 2)
    place = torch.rand(6, 4, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    before = evaluate_tilt_grid(nodes, place)
    after = evaluate_tilt_grid(resample_grid(nodes, new), place)
    assert torch.allclose(after, before, atol=1e-10)


def test_any_grid_takes_its_values_from_the_spline():
    nodes = random(4, 5, 4, 2)
    coarse = resample_grid(nodes, (4, 3, 2))
    y, x = torch.meshgrid(torch.linspace(0, 1, 3).double(), torch.linspace(0, 1, 2).double(), indexing="ij")
    place = torch.stack([x, y], -1).reshape(6, 1, 2).expand(6, 4, 2)
    assert torch.allclose(coarse.permute(1, 2, 0, 3).reshape(6, 4, 2), evaluate_tilt_grid(nodes, place))
    assert torch.allclose(resample_grid(nodes, (4, 5, 4)), nodes)


@pytest.mark.parametrize("time_nodes", [1, 3, 4])
def test_the_start_is_the_geometry_that_was_given(geometry, particles, time_nodes):
    """Also where the file has fewer nodes than tilts."""
    start = dataclasses.replace(geometry, image_warp=random(time_nodes, 3, 2, 2) * 5)
    block = block_on(start)
    before, after = (
        start.project(particles[0]),
        block.deform(imaging_of(start), block.raw).geometry.project(particles[0]),
    )
    assert torch.allclose(after.xy_angstrom, before.xy_angstrom, atol=1e-9)


def test_a_start_with_more_nodes_keeps_them(geometry, particles):
    """A coarser grid could not hold it, and would undo an earlier refinement before any image is looked at."""
    start = dataclasses.replace(geometry, image_warp=random(4, 5, 6, 2) * 5)
    block = block_on(start, (4, 8))
    assert block.physical().shape == (4, 8, 6, 2)
    same = block_on(start, (4, 4))
    before, after = start.project(particles[0]), same.deform(imaging_of(start), same.raw).geometry.project(particles[0])
    assert torch.allclose(after.xy_angstrom, before.xy_angstrom, atol=1e-9)
    nothing = dataclasses.replace(geometry, image_warp=torch.zeros(4, 5, 6, 2, dtype=torch.float64))
    assert block_on(nothing, (2, 3)).physical().shape == (4, 3, 2, 2)


def test_raw_values_are_node_shifts_in_units_of_the_prior(geometry):
    block = block_on(geometry)
    with torch.no_grad():
        block.raw.copy_(random(4 * 3 * 2 * 2, seed=3))
    warped = block.deform(imaging_of(geometry), block.raw).geometry.image_warp
    assert torch.allclose(warped - geometry.image_warp, block.physical())
    assert torch.allclose(block.physical(), 3.0 * block.raw.reshape(4, 3, 2, 2))


def test_prior_widths_are_those_of_the_whole_and_the_local_part(geometry):
    """A common shift of a tilt by its width costs about 1/2; a kink of the local width much more."""
    block = block_on(geometry, (3, 3))
    shape = (4, 3, 3, 2)
    common, kink = torch.zeros(shape).double(), torch.zeros(shape).double()
    common[1, :, :, 0] = 8.0 / 3.0
    kink[1, 1, 1, 0] = 1
    assert 0.3 < float(block.prior.penalty(common.flatten())) < 0.51
    assert float(block.prior.penalty(kink.flatten())) > 0.5
    other = torch.zeros(shape).double()
    other[2, :, :, 1] = 8.0 / 3.0
    both = block.prior.penalty((common + other).flatten())
    assert torch.allclose(both, block.prior.penalty(common.flatten()) + block.prior.penalty(other.flatten()))


def test_a_warp_is_taken_over_on_another_grid(geometry, particles):
    """A finer grid holds what a coarser one holds; a coarser one keeps what it can."""
    coarse, fine = block_on(geometry, (2, 3)), block_on(geometry, (5, 4))
    with torch.no_grad():
        coarse.raw.copy_(random(coarse.raw.numel()))
        coarse.get_buffer("log_widths").copy_(torch.tensor([0.1, -0.2, 0.3]))
    fine.take_over(coarse)
    assert torch.equal(fine.get_buffer("log_widths"), coarse.get_buffer("log_widths"))
    imaging = imaging_of(geometry)
    nodes = torch.tensor([[x, y] for x in (0.0, 0.5, 1.0) for y in (0.0, 0.5, 1.0)]).double()
    for tilt in range(geometry.tilts):
        place = nodes[:, None].expand(-1, geometry.tilts, -1)
        before, after = (
            evaluate_tilt_grid(block.deform(imaging, block.raw.detach()).geometry.image_warp, place)[:, tilt]
            for block in (coarse, fine)
        )
        corners = [0, 2, 6, 8]
        assert torch.allclose(after[corners], before[corners], atol=1e-9)
        assert torch.allclose(after, before, atol=2.0), "between nodes splines differ a little"
