"""Trilinear weights on half-space grids."""

import pytest
import torch

from mlit.fourier.trilinear import corners, divide_gridding, gridding_profile, half_grid_voxels
from tests.brute_force import direct_transform, rotations


def hermitian_function(x, y, z):
    """Value of a trilinear polynomial in |x|, with the mate's sign of its odd part."""
    sign = torch.where(x < 0, -1.0, 1.0)
    x, y, z = x * sign, y * sign, z * sign
    return (2 + 3 * x) * (1 - 0.5 * y) * (0.3 + z)


@pytest.fixture
def points():
    return (torch.rand(3, 200, generator=torch.Generator().manual_seed(2), dtype=torch.float64) - 0.5) * 7


def test_a_trilinear_function_is_interpolated_exactly(points):
    size = 10
    axis = torch.arange(size, dtype=torch.float64) - size // 2
    z, y, x = torch.meshgrid(axis, axis, torch.arange(size // 2 + 1).double(), indexing="ij")
    grid = hermitian_function(x, y, z).flatten()
    around = corners(*points, size)
    values = (grid[around.index.long()] * around.weight).sum(1)
    assert grid.shape[0] == half_grid_voxels(size)
    assert torch.allclose(values, hermitian_function(*points), atol=1e-12)
    assert torch.equal(around.mate, points[0] < 0)


def test_weights_are_a_partition_of_one_and_indices_stay_inside(points):
    size = 10
    edge = torch.tensor([[0.0, 3.9999, 0.0], [3.9999, 0.0, -4.0], [-3.9999, -4.0, 3.9999]]).double()
    around = corners(*torch.cat([points, edge], 1), size)
    assert torch.allclose(around.weight.sum(1), torch.ones(203, dtype=torch.float64))
    assert bool((around.weight >= 0).all())
    assert 0 <= int(around.index.min()) <= int(around.index.max()) < half_grid_voxels(size)


def test_offset_addresses_the_next_grid(points):
    size = 10
    plain, moved = corners(*points, size), corners(*points, size, half_grid_voxels(size))
    assert torch.equal(moved.index - plain.index, torch.full_like(plain.index, half_grid_voxels(size)))


def test_profile_is_the_transform_of_the_interpolation_kernel():
    size = 12
    steps = (torch.arange(-600, 601, dtype=torch.float64)) / 600
    triangle = 1 - steps.abs()
    r = torch.arange(size, dtype=torch.float64) - size // 2
    direct = (torch.cos(2 * torch.pi * r[:, None] * steps / size) * triangle).mean(1) * 2 * 1201 / 1200
    assert torch.allclose(gridding_profile(size).double(), direct, atol=1e-5)


@pytest.mark.parametrize("n", [7, 8])
@pytest.mark.parametrize("padding", [1, 2, 3])
def test_division_is_centred_on_the_maps_centre(n, padding):
    divided = divide_gridding(torch.ones(n, n, n), padding * n)
    radius = (torch.arange(n, dtype=torch.float64) - n // 2) / (padding * n)
    profile = torch.sinc(radius).square()
    expected = 1 / (profile[:, None, None] * profile[:, None] * profile)
    assert torch.allclose(divided.double(), expected, rtol=1e-5)


def test_division_undoes_the_fall_off_of_interpolation_near_the_centre():
    n, padded = 8, 16
    impulse = torch.zeros(n, n, n)
    impulse[6, 3, 5] = 1
    frequency = rotations(4)[:, :2].reshape(-1, 3) * 0.21
    exact = direct_transform(impulse, 1.0, frequency)
    axis = torch.arange(padded, dtype=torch.float64) - padded // 2
    z, y, x = torch.meshgrid(axis, axis, axis[padded // 2 :].abs(), indexing="ij")
    nodes = torch.stack([x, y, z], -1) / padded
    grid = torch.zeros(padded, padded, padded // 2 + 1, dtype=torch.complex128)
    grid[..., :-1] = direct_transform(divide_gridding(impulse, padded), 1.0, nodes)
    around = corners(*(frequency * padded).T, padded)
    values = (grid.flatten()[around.index.long()] * around.weight).sum(1)
    values = torch.where(around.mate, values.conj(), values)
    assert float((values - exact).abs().max()) < 0.1  # without the division 0.14 at this distance
