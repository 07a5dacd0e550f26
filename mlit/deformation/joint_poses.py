"""Poses of several species in one tilt series."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mlit.deformation.poses import Poses


class JointPoses(Poses):
    """Poses of several species, each with its own prior and number of samples, as one set of parameters.

    Where species have different numbers of samples, the last columns of ``raw`` act on nothing for those with fewer,
    and stay 0.

    Parameters
    ----------
    parts
        Poses of each species.
    """

    def __init__(self, parts: Sequence[Poses]) -> None:
        nn.Module.__init__(self)
        self.counts = [len(part.raw) for part in parts]
        self.raw = nn.Parameter(torch.zeros(sum(self.counts), max(part.raw.shape[1] for part in parts)).double())
        self.widths = [part.raw.shape[1] for part in parts]
        for part in parts:
            del part.raw
        self.parts = nn.ModuleList(parts)

    def of_species(self, species: int, values: Float[Tensor, "particle *pose"]) -> tuple[Poses, Tensor]:
        """Poses of one species, and its part of values that are given for all parameters."""
        first, width = sum(self.counts[:species]), self.widths[species]
        rows = slice(first, first + self.counts[species])
        return self.parts[species], values[(rows, *[slice(width)] * (values.dim() - 1))]  # type: ignore[return-value]

    def at(self, raw: Float[Tensor, "particle pose"]) -> tuple[Tensor, Tensor]:
        """Positions (Å) and orientations: one for each tilt, ``"particle tilt 3 [3]"``, if any species moves."""
        several = [self.of_species(species, raw) for species in range(len(self.parts))]
        found = [poses.at(values) for poses, values in several]
        tilts = max((position.shape[1] for position, _ in found if position.dim() == 3), default=0)
        if tilts:
            found = [_for_each_tilt(position, rotation, tilts) for position, rotation in found]
        positions, rotations = zip(*found, strict=True)
        return torch.cat(positions), torch.cat(rotations)

    def follow(
        self, which: Bool[Tensor, " particle"], rotation: Float[Tensor, "3 3"], shift_angstrom: Float[Tensor, "3"]
    ) -> None:
        """Let some particles follow a motion of their reference, in place; see :meth:`Poses.follow`."""
        for part, some in zip(self.parts, which.split(self.counts), strict=True):
            part.follow(some, rotation, shift_angstrom)  # type: ignore[operator]


def _for_each_tilt(position: Tensor, rotation: Tensor, tilts: int) -> tuple[Tensor, Tensor]:
    """Repeat poses that are the same in all tilts."""
    if position.dim() == 3:
        return position, rotation
    return position[:, None].expand(-1, tilts, -1), rotation[:, None].expand(-1, tilts, -1, -1)
