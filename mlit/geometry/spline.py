"""Cardinal natural cubic splines on uniform nodes, the interpolation of Warp's grids."""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


@lru_cache(maxsize=64)
def _second_derivatives(nodes: int) -> np.ndarray:
    """Matrix that takes node values to second derivatives at the nodes (unit spacing, zero at both ends)."""
    inner = nodes - 2
    tridiagonal = 4 * np.eye(inner) + np.eye(inner, k=1) + np.eye(inner, k=-1)
    differences = np.eye(inner, nodes) - 2 * np.eye(inner, nodes, k=1) + np.eye(inner, nodes, k=2)
    matrix = np.zeros((nodes, nodes))
    matrix[1:-1] = np.linalg.solve(tridiagonal, 6 * differences)
    return matrix


def natural_spline_weights(nodes: int, position: Float[Tensor, "..."]) -> Float[Tensor, "... node"]:
    """Weights that turn node values into the natural cubic spline through them.

    ``spline(position) = Σ_k weights[..., k] · value[k]`` with node ``k`` at ``k / (nodes - 1)``. Outside
    [0, 1] the cubic of the end interval goes on, as in Warp (values grow cubically there). One node is a
    constant, two are a straight line. Node counts decide the control flow, never the data, so that the
    function works under ``torch.func.jvp`` and ``torch.vmap``; second derivatives are continuous.

    Parameters
    ----------
    nodes
        Number of nodes, at least 1.
    position
        Where to evaluate, as a fraction of the grid.

    Returns
    -------
    Tensor
        Weights, which sum to 1 over the last axis.

    Raises
    ------
    ValueError
        If there is no node.
    """
    if nodes < 1:
        raise ValueError(f"a spline needs at least one node, not {nodes}")
    if nodes == 1:
        return torch.ones_like(position)[..., None]
    scaled = (position * (nodes - 1))[..., None]
    lower = torch.floor(scaled).clamp(0, nodes - 2)
    fraction = scaled - lower
    index = torch.arange(nodes, dtype=position.dtype, device=position.device)
    hat = torch.where(index == lower, 1 - fraction, torch.where(index == lower + 1, fraction, 0.0))
    if nodes == 2:
        return hat
    curvature = torch.as_tensor(_second_derivatives(nodes)).to(dtype=position.dtype, device=position.device)
    return hat + (hat**3 - hat) / 6 @ curvature
