import pytest
import torch

from mlit.geometry.spline import natural_spline_weights
from mlit.geometry.tilt_grid import evaluate_tilt_grid, grid_at_tilts, tilt_fraction


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(8))


def test_tilt_axis_of_grids_is_the_spline_over_tilt_index():
    grid = normal(3, 2, 2, 1)
    fine = grid_at_tilts(grid, 5)
    torch.testing.assert_close(fine[::2], grid, rtol=0, atol=1e-12)
    weights = natural_spline_weights(3, torch.tensor(0.25, dtype=torch.float64))
    torch.testing.assert_close(fine[1], torch.einsum("k,kyxc->yxc", weights, grid))
    assert grid_at_tilts(grid, 3) is grid
    assert grid_at_tilts(grid[:1], 4).shape == (4, 2, 2, 1)


@pytest.mark.parametrize("tilts", [1, 4])
def test_tilts_lie_at_their_index(tilts):
    fraction = tilt_fraction(tilts, dtype=torch.float64, device=torch.device("cpu"))
    assert fraction[0] == 0
    assert fraction[-1] == (1 if tilts > 1 else 0)


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 1, 1), (4, 3, 2), (2, 1, 5)])
def test_value_is_the_tensor_product_of_splines(shape):
    grid, position = normal(*shape, 2), normal(3, 4, 2).sigmoid()
    weight_x = natural_spline_weights(shape[2], position[..., 0])
    weight_y = natural_spline_weights(shape[1], position[..., 1])
    weight_t = natural_spline_weights(shape[0], torch.arange(4, dtype=torch.float64) / 3)
    expected = torch.einsum("tk,pty,ptx,kyxc->ptc", weight_t, weight_y, weight_x, grid)
    torch.testing.assert_close(evaluate_tilt_grid(grid, position), expected)


def test_gradients():
    grid, position = normal(3, 3, 2, 2), normal(2, 4, 2).sigmoid()
    assert torch.autograd.gradcheck(evaluate_tilt_grid, (grid.requires_grad_(), position.requires_grad_()))
