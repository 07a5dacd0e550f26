"""Cells of the images that tables are kept for, and the grid of places that is fitted to them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mlit.geometry.spline import natural_spline_weights

CELLS = 2  # between two nodes


@dataclass(frozen=True)
class PlaceCells:
    """Images cut into equal cells, finer than the grid that is fitted, and counted with x fastest.

    Attributes
    ----------
    x_nodes, y_nodes
        Nodes of the grid; one of each where places do not differ, and then there is one cell.
    """

    x_nodes: int = 1
    y_nodes: int = 1

    @property
    def shape(self) -> tuple[int, int]:
        """Cells along x and y."""
        x, y = (max(1, CELLS * (nodes - 1)) for nodes in (self.x_nodes, self.y_nodes))
        return x, y

    @property
    def count(self) -> int:
        """All cells."""
        x, y = self.shape
        return x * y

    def of(self, fraction: Float[Tensor, "particle tilt 2"]) -> Int[Tensor, "particle tilt"]:
        """Cell of places given as fractions of the sides of an image; beyond the edges the nearest."""
        size = torch.tensor(self.shape, device=fraction.device)
        x, y = (fraction * size).floor().long().clamp(min=0).minimum(size - 1).unbind(-1)
        return y * self.shape[0] + x

    def basis(self) -> Float[Tensor, "place node"]:
        """Value of the grid in the middle of each cell for one at each node; nodes are counted with x fastest."""
        if self.count == 1:
            return torch.zeros(1, 0, dtype=torch.float64)
        x, y = (
            natural_spline_weights(nodes, (torch.arange(cells, dtype=torch.float64) + 0.5) / cells)
            for nodes, cells in zip((self.x_nodes, self.y_nodes), self.shape, strict=True)
        )
        return torch.einsum("cm,dn->cdmn", y, x).flatten(2).flatten(0, 1)
