"""Insertion as the adjoint of slicing."""

import pytest
import torch

from mlit.fourier.insertion import FourierSums, insert, scatter_rows
from mlit.fourier.pixels import FourierPixels
from mlit.fourier.slices import ReferenceTable, slices
from mlit.fourier.trilinear import half_grid_voxels
from tests.brute_force import rotations

BOX, PIXEL = 16, 2.0


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(5)


@pytest.fixture
def pixels():
    return FourierPixels.inside(BOX, PIXEL, 2.6 * PIXEL)


def test_insertion_is_the_adjoint_of_slicing(pixels, generator):
    """<A x, |k| y> = <x, A* y> for data (with its Friedel signs) and for weights (without)."""
    sums = FourierSums.zeros(2, BOX, PIXEL, 2.6 * PIXEL)
    rotation = rotations(6)
    data = torch.randn(6, pixels.count, generator=generator, dtype=torch.complex64)
    weight = torch.rand(6, pixels.count, generator=generator)
    insert(sums, 1, rotation, data, weight, pixels)
    grid = torch.randn(half_grid_voxels(sums.size), 2, generator=generator)
    table = ReferenceTable(grid, sums.size, sums.length_angstrom)
    values = slices(table, torch.zeros(6, dtype=torch.long), rotation, pixels).double()
    ramp = pixels.radius.double() * sums.length_angstrom
    sampled = (values[:, :, 0] * torch.stack([data.real, data.imag], 1) * ramp).sum()
    inserted = (grid.double() * sums.rows[1, :, :2]).sum()
    assert torch.allclose(sampled, inserted, rtol=1e-4)
    assert torch.allclose(
        (values[:, 0, 0] * weight * ramp).sum(), (grid[:, 0].double() @ sums.rows[1, :, 2].double()), rtol=1e-4
    )
    assert float(sums.rows[0].abs().max()) == 0


def test_magnified_pixels_beyond_the_sums_are_left_out(generator):
    """Those that are taken are in their places: insertion is still the adjoint of slicing."""
    pixels = FourierPixels.inside(BOX, PIXEL, 2 * PIXEL)
    magnified = rotations(6) * torch.tensor([1.25, 1.1, 1.0]).double()[:, None]
    data = torch.randn(6, pixels.count, generator=generator, dtype=torch.complex64)
    sums = FourierSums.zeros(1, BOX, PIXEL, 2 * PIXEL)
    insert(sums, 0, magnified, data, torch.ones(6, pixels.count), pixels)
    grid = torch.randn(half_grid_voxels(sums.size), 2, generator=generator)
    values = slices(
        ReferenceTable(grid, sums.size, sums.length_angstrom), torch.zeros(6, dtype=torch.long), magnified, pixels
    )
    ramp = pixels.radius * sums.length_angstrom
    sampled = (values[:, :, 0] * torch.stack([data.real, data.imag], 1) * ramp).sum()
    assert torch.allclose(sampled, (grid * sums.rows[0, :, :2]).sum(), rtol=1e-3)
    assert float(sampled.abs()) > 1


def test_insertions_add_up(pixels, generator):
    rotation = rotations(2)
    data = torch.randn(2, pixels.count, generator=generator, dtype=torch.complex64)
    weight = torch.rand(2, pixels.count, generator=generator)
    together, apart = (FourierSums.zeros(1, BOX, PIXEL, 2.6 * PIXEL) for _ in range(2))
    insert(together, 0, rotation, data, weight, pixels)
    for i in range(2):
        insert(apart, 0, rotation[i, None], data[i, None], weight[i, None], pixels)
    assert torch.allclose(together.rows, apart.rows, atol=1e-5)


def test_scatter_matches_index_add(generator):
    index = torch.randint(0, 50, (40, 8), generator=generator, dtype=torch.int32)
    weight, values = torch.rand(40, 8, generator=generator), torch.randn(40, 3, generator=generator)
    start = torch.randn(50, 3, generator=generator)
    fast, slow = start.clone(), start.clone()
    scatter_rows(fast, index, weight, values)
    slow.index_add_(0, index.flatten(), (weight[..., None] * values[:, None]).reshape(-1, 3))
    assert torch.allclose(fast, slow, atol=1e-5)


@pytest.mark.parametrize(("box", "resolution"), [(64, 16.0), (64, 10.0), (32, 4.0), (30, 3.1)])
def test_sums_cover_the_resolution_with_few_voxels(box, resolution):
    sums = FourierSums.zeros(3, box, PIXEL, resolution)
    assert sums.length_angstrom == pytest.approx(box * PIXEL)
    assert sums.size % 2 == 0
    assert sums.size <= box
    assert sums.rows.shape == (3, half_grid_voxels(sums.size), 3)
    finest = min(box * PIXEL / resolution, box / 2 - 1)
    assert finest - 2 <= sums.last_shell <= finest
    assert sums.last_shell < sums.size / 2 - 1


@pytest.mark.parametrize("resolution", [2 * PIXEL, 4 * PIXEL])
def test_kernels_never_leave_the_grid(resolution, generator):
    """Pixels at the very limit, turned onto the axes, in the last group: nothing wraps around."""
    sums = FourierSums.zeros(1, BOX, PIXEL, resolution)
    pixels = FourierPixels.inside(BOX, PIXEL, resolution)
    upright = torch.tensor([[[1.0, 0, 0], [0, 0, 1], [0, 1, 0]], [[0, 0, 1], [0, 1, 0], [1, 0, 0]]]).double()
    weight = torch.ones(2, pixels.count)
    insert(sums, 0, upright, torch.zeros(2, pixels.count, dtype=torch.complex64), weight, pixels)
    ramp = pixels.radius * sums.length_angstrom
    inside = ramp < (sums.size / 2 - 1) * (1 - 1e-5)
    assert float(sums.rows[..., 2].sum()) == pytest.approx(2 * float(ramp[inside].sum()), rel=1e-5)
    corner = sums.rows[0, :, 2].reshape(sums.size, sums.size, -1)
    assert float(corner[0].abs().max()) == 0
    assert float(corner[:, 0].abs().max()) == 0
