"""Motion of the sample while it is exposed."""

import dataclasses

import pytest
import torch

from mlit.deformation.volume_warp import VolumeWarp, refined_count, resample_linear
from mlit.geometry.linear_grid import evaluate_volume_warp
from tests.brute_force import imaging_of


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def block_on(geometry, grid=(2, 3, 2, 4)):
    return VolumeWarp(imaging_of(geometry), grid, motion_prior_angstrom=4.0, smoothness=0.5)


def flatter(geometry):
    return dataclasses.replace(geometry, volume_warp=torch.zeros(1, 1, 1, 1, 3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("old", "wanted", "found"), [(1, 4, 4), (3, 3, 3), (3, 2, 3), (3, 4, 5), (8, 10, 15), (10, 8, 10), (2, 7, 7)]
)
def test_nodes_hold_the_old_ones(old, wanted, found):
    assert refined_count(old, wanted) == found


@pytest.mark.parametrize("old", [(3, 2, 2, 4), (1, 1, 1, 1), (5, 1, 3, 2), (1, 2, 3, 3)])
@pytest.mark.parametrize("grid", [(2, 3, 1, 4), (4, 2, 3, 6)])
def test_an_existing_warp_is_kept_to_the_digit(geometry, particles, old, grid):
    """Inside and outside the grid, whether the old one is finer or coarser."""
    start = dataclasses.replace(geometry, volume_warp=5 * random(*old, 3))
    block = block_on(start, grid)
    place = particles[0] * torch.tensor([1.3, 0.9, 1.2]).double() - torch.tensor([200.0, 0, 50])
    before = start.project(place)
    after = block.deform(imaging_of(start), block.raw).geometry.project(place)
    assert torch.allclose(after.xy_angstrom, before.xy_angstrom, atol=1e-9)
    assert torch.allclose(after.defocus_um, before.defocus_um, atol=1e-12)


def test_resampling_takes_values_from_the_linear_grid():
    grid = random(3, 2, 2, 4, 3)
    fine = resample_linear(grid, (5, 3, 1, 4))
    assert fine.shape == (5, 3, 1, 4, 3)
    place = torch.tensor([[0.0, 0.0, 0.5]]).double()
    found = evaluate_volume_warp(grid, place, torch.tensor([0.25]).double())
    assert torch.allclose(found[0, 0], fine[1, 1, 0, 0])


def test_the_first_dose_is_the_reference(geometry):
    block = block_on(flatter(geometry))
    raw = random(block.raw.numel())
    warp = block.deform(imaging_of(geometry), raw).geometry.volume_warp
    assert warp.shape == (4, 2, 3, 2, 3)
    assert float(warp[0].abs().max()) == 0
    assert torch.allclose(warp[1:].flatten(), 4.0 * raw)
    with torch.no_grad():
        block.raw.copy_(raw)
    assert torch.allclose(block.physical(), warp[1:])


def test_the_prior_is_a_walk_in_dose_of_the_stated_size(geometry):
    """A common motion of one width at the full dose costs about 1/2 if it is steady, more if it comes all at once."""
    block = block_on(flatter(geometry), (1, 1, 1, 9))
    steady = torch.zeros(8, 3, dtype=torch.float64)
    steady[:, 0] = torch.linspace(0, 1, 9, dtype=torch.float64)[1:]
    late = torch.zeros(8, 3, dtype=torch.float64)
    late[-1, 0] = 1
    assert float(block.prior.penalty(steady.flatten())) == pytest.approx(0.5, rel=1e-3)
    assert float(block.prior.penalty(late.flatten())) == pytest.approx(4.0, rel=1e-3)


def test_neighbours_move_together_by_their_distance_in_angstrom(geometry):
    """Bending across the thin side costs more than across a wide one; the axes of the motion are independent."""
    block = block_on(flatter(geometry), (2, 2, 2, 2))

    def cost(axis, component=0):
        bend = torch.zeros(2, 2, 2, 3, dtype=torch.float64)
        bend.select(axis, 1)[..., component] = 1
        return float(block.prior.penalty(bend.flatten()))

    z, y, x = (cost(axis) for axis in range(3))
    assert z > y > x
    assert cost(0, component=2) == pytest.approx(z)


@pytest.mark.parametrize("dose_nodes", [2, 3, 4, 7, 12])
def test_a_tilt_has_all_parameters_that_move_it_and_no_two_of_a_column(geometry, particles, dose_nodes):
    """The rule of the table of columns, for doses in any order."""
    dose = torch.tensor([40.0, 3.0, 90.0, 61.0], dtype=torch.float64)
    start = flatter(dataclasses.replace(geometry, dose=dose))
    block = block_on(start, (2, 1, 2, dose_nodes))
    raw = torch.zeros(block.raw.numel(), dtype=torch.float64)

    def moved(values):
        return block.deform(imaging_of(start), values).geometry.project(particles[0]).xy_angstrom

    by = torch.func.jacfwd(moved)(raw).abs().amax((0, 2)) > 0
    for tilt in range(4):
        acting = by[tilt].nonzero().squeeze(1)
        assert set(acting.tolist()) <= set(block.columns[tilt].tolist())
        for column in block.columns.T:
            assert int(torch.isin(acting, column).sum()) <= 1
