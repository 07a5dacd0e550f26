import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from mlit.geometry.spline import natural_spline_weights

node_counts = st.integers(1, 45)


def nodes_at(nodes: int) -> torch.Tensor:
    return torch.arange(nodes, dtype=torch.float64) / max(nodes - 1, 1)


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 5, 6, 7, 11, 41, 81])
def test_weights_are_cardinal_at_the_nodes(nodes):
    weights = natural_spline_weights(nodes, nodes_at(nodes))
    torch.testing.assert_close(weights, torch.eye(nodes, dtype=torch.float64), rtol=0, atol=1e-12)


@given(node_counts, st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=5))
@settings(deadline=None)
def test_straight_lines_are_kept(nodes, positions):
    position = torch.tensor(positions, dtype=torch.float64)
    weights = natural_spline_weights(nodes, position)
    ones = torch.ones_like(position)
    torch.testing.assert_close(weights.sum(-1), ones, rtol=0, atol=1e-10 * nodes**3)
    line = weights @ nodes_at(nodes)
    expected = position if nodes > 1 else 0 * position
    torch.testing.assert_close(line, expected, rtol=0, atol=1e-10 * nodes**3)


@pytest.mark.parametrize("nodes", [3, 4, 5, 9, 41])
def test_agrees_with_scipy_inside_and_outside(nodes):
    values = np.random.default_rng(nodes).normal(size=nodes)
    position = torch.linspace(-0.3, 1.3, 173, dtype=torch.float64)
    reference = CubicSpline(nodes_at(nodes).numpy(), values, bc_type="natural")(position.numpy())
    spline = natural_spline_weights(nodes, position) @ torch.from_numpy(values)
    torch.testing.assert_close(spline, torch.from_numpy(reference), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("nodes", [3, 4, 7])
@pytest.mark.parametrize("end", [0.0, 1.0])
def test_second_derivative_is_zero_at_the_ends(nodes, end):
    values = torch.randn(nodes, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def slope(x):
        return torch.func.grad(lambda u: natural_spline_weights(nodes, u) @ values)(x)

    curvature = torch.func.grad(slope)(torch.tensor(end, dtype=torch.float64))
    assert curvature.abs().item() < 1e-10
    inner = torch.func.grad(slope)(torch.tensor(0.5, dtype=torch.float64))
    assert inner.abs().item() > 1e-3


@pytest.mark.parametrize("nodes", [1, 2, 3, 6])
def test_gradients_and_forward_mode(nodes):
    position = torch.tensor([-0.2, 0.0, 0.21, 0.77, 1.1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: natural_spline_weights(nodes, p), position)
    tangents = torch.eye(5, dtype=torch.float64)
    at = position.detach()

    def directional(tangent):
        return torch.func.jvp(lambda p: natural_spline_weights(nodes, p), (at,), (tangent,))[1]

    forward = torch.vmap(directional)(tangents)
    reverse = torch.func.jacrev(lambda p: natural_spline_weights(nodes, p))(at)
    torch.testing.assert_close(forward, reverse.movedim(-1, 0))


def test_grid_without_nodes_is_refused():
    with pytest.raises(ValueError, match="at least one node"):
        natural_spline_weights(0, torch.zeros(1))
