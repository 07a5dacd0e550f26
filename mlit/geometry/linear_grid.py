"""Multilinear grids with Warp's rule at the borders: the interpolation of the volume warp."""

import torch
from jaxtyping import Float
from torch import Tensor


def linear_weights(nodes: int, position: Float[Tensor, "..."]) -> Float[Tensor, "... node"]:
    """Weights of linear interpolation on uniform nodes over [0, 1].

    Warp's rule: with ``p = position · (nodes - 1)`` the lower node is ``trunc(p)`` clamped to the grid, the
    upper one its successor, clamped too. So the first segment goes on below 0, and the last value is held
    above 1.

    Arguments, result and errors are those of :func:`mlit.geometry.spline.natural_spline_weights`.
    """
    if nodes < 1:
        raise ValueError(f"a grid needs at least one node, not {nodes}")
    if nodes == 1:
        return torch.ones_like(position)[..., None]
    scaled = (position * (nodes - 1))[..., None]
    lower = torch.trunc(scaled).clamp(0, nodes - 1)
    upper = (lower + 1).clamp(max=nodes - 1)
    fraction = scaled - lower
    index = torch.arange(nodes, dtype=position.dtype, device=position.device)
    return torch.where(index == lower, 1 - fraction, 0.0) + torch.where(index == upper, fraction, 0.0)


def evaluate_volume_warp(
    grid: Float[Tensor, "dnode znode ynode xnode channel"],
    position: Float[Tensor, "particle 3"] | Float[Tensor, "particle tilt 3"],
    dose_fraction: Float[Tensor, "tilt"],
) -> Float[Tensor, "particle tilt channel"]:
    """Quadrilinear value of a warp over space and dose.

    Dose weights are contracted first and the three spatial weights are merged into one matrix, so that the
    work for many particles is one matrix product.

    Parameters
    ----------
    grid
        Node values; axes dose, z, y, x.
    position
        (x, y, z) as fractions of the volume, one for all tilts or one for each.
    dose_fraction
        (dose - min) / (max - min) of each tilt.

    Returns
    -------
    Tensor
        Values in the unit of the grid.
    """
    z_nodes, y_nodes, x_nodes, channels = grid.shape[1:]
    per_tilt = torch.einsum("td,dn->tn", linear_weights(grid.shape[0], dose_fraction), grid.flatten(1))
    per_tilt = per_tilt.unflatten(1, (z_nodes * y_nodes * x_nodes, channels))
    weight_x = linear_weights(x_nodes, position[..., 0])
    weight_y = linear_weights(y_nodes, position[..., 1])
    weight_z = linear_weights(z_nodes, position[..., 2])
    space = weight_z[..., :, None, None] * weight_y[..., None, :, None] * weight_x[..., None, None, :]
    space = space.flatten(-3)
    if position.ndim == 2:
        return torch.einsum("pn,tnc->ptc", space, per_tilt)
    return torch.einsum("ptn,tnc->ptc", space, per_tilt)
