"""Which hyperparameters belong to one tilt each, and which act on several."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mlit.deformation.block import Block


@dataclass(frozen=True)
class HyperLayout:
    """Places of the active hyperparameters of a series.

    Tilts hang together only through the particles and through parameters that act on several of them. The others,
    usually nearly all, fall into one independent block for each tilt.

    Attributes
    ----------
    columns
        Parameters that act on each tilt, as the blocks list them.
    is_local
        Which columns hold parameters of one tilt alone, by themselves and in their priors.
    local
        Parameters of each tilt alone.
    rest
        All other parameters.
    """

    columns: Int[Tensor, "tilt column"]
    is_local: Bool[Tensor, " column"]
    local: Int[Tensor, "tilt local"]
    rest: Int[Tensor, " rest"]

    @classmethod
    def of(cls, blocks: Sequence[Block], tilts: int) -> "HyperLayout":
        """Lay out the parameters of some blocks one after the other."""
        columns, is_local, offset = [torch.zeros(tilts, 0, dtype=torch.long)], [], 0
        for block in blocks:
            columns.append(block.columns + offset)
            is_local += [_is_local(block)] * block.columns.shape[1]
            offset += block.raw.numel()
        table, which = torch.cat(columns, 1), torch.tensor(is_local, dtype=torch.bool)
        alone = torch.zeros(offset, dtype=torch.bool)
        alone[table[:, which].flatten()] = True
        return cls(table, which, table[:, which], (~alone).nonzero().squeeze(1))

    @property
    def count(self) -> int:
        """Number of parameters."""
        return self.local.numel() + len(self.rest)

    def places(self) -> tuple[Int[Tensor, " hyper"], Int[Tensor, " hyper"]]:
        """Tilt of every parameter, and its place among those of the tilt or of the rest; tilt -1 is the rest."""
        tilt = torch.full((self.count,), -1)
        place = torch.empty(self.count, dtype=torch.long)
        tilts, width = self.local.shape
        tilt[self.local] = torch.arange(tilts)[:, None].expand(-1, width)
        place[self.local] = torch.arange(width).expand(tilts, -1)
        place[self.rest] = torch.arange(len(self.rest))
        return tilt, place

    def join(self, local: Float[Tensor, "tilt local"], rest: Float[Tensor, " rest"]) -> Float[Tensor, " hyper"]:
        """Put values of both kinds into one vector."""
        out = local.new_empty(self.count)
        out[self.local], out[self.rest] = local, rest
        return out


def _is_local(block: Block) -> bool:
    """Whether every parameter acts on one tilt, and is correlated with none of another tilt."""
    tilts, width = block.columns.shape
    if block.raw.numel() != tilts * width:
        return False
    tilt = torch.empty(block.raw.numel(), dtype=torch.long)
    tilt[block.columns] = torch.arange(tilts)[:, None].expand(-1, width)
    of_groups = tilt[block.prior.groups]
    return bool((of_groups == of_groups[:, :1]).all())
