import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlit.geometry.linear_grid import evaluate_volume_warp, linear_weights


def by_warps_rule(values: list[float], position: float) -> float:
    """Literal statement of the rule, one number at a time."""
    scaled = position * (len(values) - 1)
    lower = min(max(math.trunc(scaled), 0), len(values) - 1)
    upper = min(lower + 1, len(values) - 1)
    return values[lower] * (1 - (scaled - lower)) + values[upper] * (scaled - lower)


@given(st.integers(1, 9), st.floats(-1, 2))
@settings(deadline=None)
def test_weights_follow_the_rule(nodes, position):
    values = [math.sin(3.0 * k + 1) for k in range(nodes)]
    weights = linear_weights(nodes, torch.tensor(position, dtype=torch.float64))
    result = weights @ torch.tensor(values, dtype=torch.float64)
    assert result.item() == pytest.approx(by_warps_rule(values, position), abs=1e-12)


@pytest.mark.parametrize("nodes", [1, 2, 5, 41])
def test_weights_are_cardinal_at_the_nodes(nodes):
    position = torch.arange(nodes, dtype=torch.float64) / max(nodes - 1, 1)
    identity = torch.eye(nodes, dtype=torch.float64)
    torch.testing.assert_close(linear_weights(nodes, position), identity, rtol=0, atol=1e-12)


def test_volume_warp_is_the_product_of_one_dimensional_rules():
    generator = torch.Generator().manual_seed(0)
    grid = torch.randn(3, 2, 4, 1, 2, dtype=torch.float64, generator=generator)
    position = torch.rand(5, 3, dtype=torch.float64, generator=generator) * 1.4 - 0.2
    dose = torch.tensor([0.0, 0.4, 1.0, 0.7], dtype=torch.float64)
    expected = torch.einsum(
        "td,pz,py,px,dzyxc->ptc",
        linear_weights(3, dose),
        linear_weights(2, position[:, 2]),
        linear_weights(4, position[:, 1]),
        linear_weights(1, position[:, 0]),
        grid,
    )
    torch.testing.assert_close(evaluate_volume_warp(grid, position, dose), expected)
    moving = position[:, None].expand(-1, 4, -1)
    torch.testing.assert_close(evaluate_volume_warp(grid, moving, dose), expected)


def test_gradients():
    generator = torch.Generator().manual_seed(0)
    grid = torch.randn(2, 2, 3, 3, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    position = torch.rand(2, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    dose = torch.tensor([0.1, 0.9], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(evaluate_volume_warp, (grid, position, dose))


def test_grid_without_nodes_is_refused():
    with pytest.raises(ValueError, match="at least one node"):
        linear_weights(0, torch.zeros(1))
