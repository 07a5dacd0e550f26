"""The average over a group by cosets against the plain one, and the fall-off against its definition."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from mlit.fourier.trilinear import corners
from mlit.geometry.map_symmetry import Symmetry
from mlit.maps.symmetrise import fall_off, split_group, symmetrise

SIZE = 20
GROUPS = ["C1", "C3", "D2", "D5", "T", "O", "I1", "I2", "I3", "I4"]


def random_grid():
    """Transform of a real map of noise, and weights that are as even."""
    generator = torch.Generator().manual_seed(2)
    maps = torch.randn(2, SIZE, SIZE, SIZE, generator=generator)
    signal, even = torch.fft.fftshift(torch.fft.rfftn(maps, dim=(1, 2, 3)), dim=(1, 2))
    return torch.stack([signal.real, signal.imag, even.abs()], -1)


def plain_sum(grid, operators):
    """Every point of the grid looked up at every operator, by interpolation."""
    axis = torch.arange(SIZE, dtype=torch.float32) - SIZE // 2
    z, y, x = torch.meshgrid(axis, axis, torch.arange(SIZE // 2 + 1, dtype=torch.float32), indexing="ij")
    inside = x.square() + y.square() + z.square() < (SIZE / 2 - 1.5) ** 2
    points = torch.stack([x[inside], y[inside], z[inside]])
    out = torch.zeros_like(grid)
    for operator in operators.float():
        turned = operator @ points
        around = corners(turned[0], turned[1], turned[2], SIZE)
        values = F.embedding_bag(around.index, grid.reshape(-1, 3), per_sample_weights=around.weight, mode="sum")
        values[:, 1] *= torch.where(around.mate, -1.0, 1.0)
        out[inside] += values
    return out


@pytest.mark.parametrize("name", GROUPS)
def test_cosets_give_the_sum_over_all_operators(name):
    symmetry, grid = Symmetry.named(name), random_grid()
    found, expected = symmetrise(grid, symmetry, SIZE), plain_sum(grid, symmetry.point_group)
    assert float((found - expected).norm() / expected.norm()) < 1e-5


@pytest.mark.parametrize("name", GROUPS)
def test_products_of_the_parts_are_the_group(name):
    operators = Symmetry.named(name).point_group
    onto_grid, (cosets, _) = split_group(Symmetry(operators))
    products = torch.einsum("tij,cjk->ctik", onto_grid, cosets).flatten(0, 1)
    assert len(products) == len(operators)
    distance = torch.cdist(products.flatten(1), operators.flatten(1))
    assert distance.argmin(1).unique().numel() == len(operators)
    assert float(distance.min(1).values.max()) < 1e-6


def test_icosahedral_sums_take_five_interpolations():
    onto_grid, (cosets, _) = split_group(Symmetry.named("I"))
    assert (len(onto_grid), len(cosets)) == (12, 5)


@pytest.mark.parametrize("name", ["C3", "D2", "I"])
def test_symmetric_sums_stay_as_they_are_under_every_operator_of_the_grid(name):
    """Summing again multiplies by the order, where operators map the grid onto itself."""
    onto_grid, _ = split_group(Symmetry.named(name))
    once = symmetrise(random_grid(), Symmetry(onto_grid), SIZE)
    assert torch.allclose(symmetrise(once, Symmetry(onto_grid), SIZE), len(onto_grid) * once, atol=1e-2)


@pytest.mark.parametrize("name", ["C3", "I3"])
def test_fall_off_sampled_coarsely_is_that_of_its_definition(name):
    size, symmetry = 130, Symmetry.named(name)
    axis = (torch.arange(size, dtype=torch.float64) - size // 2) / size
    rows = slice(size // 2, size // 2 + 1)
    z, y, x = torch.meshgrid(axis[rows], axis, axis, indexing="ij")
    place = torch.stack([x, y, z], -1)
    expected = torch.zeros_like(x)
    for operator in symmetry.point_group:
        on_grid = ((operator - operator.round()).abs() < 1e-6).all(1)
        expected += (torch.sinc(place @ operator.T) ** torch.where(on_grid, 2, 4)).prod(-1) / len(symmetry)
    inside = place.norm(dim=-1) < 0.4
    ratio = fall_off(size, symmetry, 1.0)[rows] / expected
    assert float((ratio - 1)[inside].abs().max()) < 5e-4
