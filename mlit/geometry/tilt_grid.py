"""Natural-spline grids over (tilt, y, x): image warp and stage angles."""

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.geometry.spline import natural_spline_weights


def tilt_fraction(tilts: int, *, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "tilt"]:
    """Place of each tilt on the third axis of Warp's grids: its index in file order over (tilts - 1)."""
    return torch.arange(tilts, dtype=dtype, device=device) / max(tilts - 1, 1)


def grid_at_tilts(
    grid: Float[Tensor, "tnode ynode xnode channel"], tilts: int
) -> Float[Tensor, "tilt ynode xnode channel"]:
    """Grid with its first axis evaluated at every tilt; with one node for each tilt it is the grid itself."""
    if grid.shape[0] == tilts:
        return grid
    if grid.shape[0] == 1:
        return grid.expand(tilts, -1, -1, -1)
    weights = natural_spline_weights(grid.shape[0], tilt_fraction(tilts, dtype=grid.dtype, device=grid.device))
    return torch.einsum("tk,kyxc->tyxc", weights, grid)


def evaluate_tilt_grid(
    grid: Float[Tensor, "tnode ynode xnode channel"], position: Float[Tensor, "particle tilt 2"]
) -> Float[Tensor, "particle tilt channel"]:
    """Value of a grid for every particle in every tilt.

    Axes are contracted one after the other (a tensor product of one-dimensional splines), so that no array
    holds more than particle × tilt × nodes of one axis × channel numbers.

    Parameters
    ----------
    grid
        Node values; axes tilt, y, x.
    position
        (x, y) as fractions of the grid's extent.

    Returns
    -------
    Tensor
        Values in the unit of the grid.
    """
    nodes = grid_at_tilts(grid, position.shape[1])
    if nodes.shape[1] == 1 and nodes.shape[2] == 1:
        return nodes[:, 0, 0].expand(position.shape[0], -1, -1)
    weight_y = natural_spline_weights(nodes.shape[1], position[..., 1])
    weight_x = natural_spline_weights(nodes.shape[2], position[..., 0])
    rows = torch.einsum("pty,tyxc->ptxc", weight_y, nodes)
    return torch.einsum("ptx,ptxc->ptc", weight_x, rows)
