"""Random patches of pairs of maps, turned at random: what the network learns from."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Patches:
    """Patches of one step.

    Attributes
    ----------
    source, target
        What the network sees, and what it shall predict: the same density with other noise.
    weight
        How much each voxel counts.
    """

    source: Float[Tensor, "map z y x"]
    target: Float[Tensor, "map z y x"]
    weight: Float[Tensor, "map z y x"]

    def split(self) -> list["Patches"]:
        """Each patch by itself."""
        parts = zip(*(part.split(1) for part in (self.source, self.target, self.weight)), strict=True)
        return [Patches(*part) for part in parts]


@dataclass(frozen=True)
class Turn:
    """One of the 24 rotations of the cube: axes in another order, some of them reversed."""

    order: tuple[int, ...]
    reversed_axes: tuple[int, ...]

    def __call__(self, cube: Float[Tensor, "*batch z y x"]) -> Float[Tensor, "*batch z y x"]:
        """Rotate the last three axes; exact, nothing is interpolated."""
        lead = cube.ndim - 3
        cube = cube.permute(*range(lead), *(lead + axis for axis in self.order))
        return cube.flip([lead + axis for axis in self.reversed_axes])


def _turns() -> tuple[Turn, ...]:
    """All orders and reversals that together are no mirror image."""
    found = []
    for order in itertools.permutations(range(3)):
        swaps = sum(order[i] > order[j] for i in range(3) for j in range(i + 1, 3))
        for count in range(4):
            found += [Turn(order, axes) for axes in itertools.combinations(range(3), count) if (swaps + count) % 2 == 0]
    return tuple(found)


TURNS = _turns()


@dataclass(frozen=True)
class Pairs:
    """Maps to learn from, all on one grid.

    Attributes
    ----------
    sources
        What the network sees.
    targets
        Maps to predict.
    partner
        Which target belongs to each source: one whose noise the source does not share.
    weight
        Where the density is: patches are taken there, and voxels count by it.
    """

    sources: Float[Tensor, "map z y x"]
    targets: Float[Tensor, "side z y x"]
    partner: Int[Tensor, " map"]
    weight: Float[Tensor, "z y x"]

    def padded(self, edge: int) -> "Pairs":
        """Pad axes that are shorter than a patch."""
        missing = [max(0, edge - size) for size in self.weight.shape]
        padding = [width for gap in reversed(missing) for width in (gap // 2, gap - gap // 2)]
        sources, targets, weight = (functional.pad(m, padding) for m in (self.sources, self.targets, self.weight))
        return Pairs(sources, targets, self.partner, weight)


class PatchStream:
    """An iterable of steps, the same for a seed on every computer.

    Parameters
    ----------
    pairs
        Maps to learn from.
    edge
        Edge of a patch in voxels.
    batch, steps
        Patches in a step, and number of steps.
    seed
        Of the draws, which are made on the processor.
    """

    def __init__(self, pairs: Pairs, edge: int, batch: int, steps: int, seed: int) -> None:
        self.pairs, self.edge, self.batch, self.steps, self.seed = pairs.padded(edge), edge, batch, steps, seed
        self._sum = self.pairs.weight.flatten().cpu().double().clamp(min=0).cumsum(0)

    def __len__(self) -> int:
        """Count the steps."""
        return self.steps

    def __iter__(self) -> Iterator[Patches]:
        """Draw the patches of every step."""
        generator = torch.Generator().manual_seed(self.seed)
        for _ in range(self.steps):
            drawn = [self._draw(generator) for _ in range(self.batch)]
            yield Patches(*(torch.stack(part) for part in zip(*drawn, strict=True)))

    def _draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        number = int(torch.randint(len(self.pairs.sources), (), generator=generator))
        turn = TURNS[int(torch.randint(len(TURNS), (), generator=generator))]
        region = self._region(generator)
        target = self.pairs.targets[int(self.pairs.partner[number])]
        return turn(self.pairs.sources[number][region]), turn(target[region]), turn(self.pairs.weight[region])

    def _region(self, generator: torch.Generator) -> tuple[slice, ...]:
        """Draw a cube about a voxel where the density is, as far as the map goes."""
        level = torch.rand((), generator=generator, dtype=torch.float64) * self._sum[-1]
        voxel = min(int(torch.searchsorted(self._sum, level, right=True)), len(self._sum) - 1)
        shape: Sequence[int] = self.pairs.weight.shape
        centre = (voxel // (shape[1] * shape[2]), voxel // shape[2] % shape[1], voxel % shape[2])
        starts = (min(max(c - self.edge // 2, 0), size - self.edge) for c, size in zip(centre, shape, strict=True))
        return tuple(slice(start, start + self.edge) for start in starts)
