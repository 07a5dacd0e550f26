"""The grid that the network sees."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.fourier.resize import crop_or_pad, resample_map
from mlit.maps.references import HalfMaps


@dataclass(frozen=True)
class WorkingGrid:
    """The tight box, sampled as finely as the half maps agree.

    Attributes
    ----------
    size, coarse
        Its edge in voxels of the maps, and of this grid.
    pixel_size_angstrom
        Of this grid.
    resolution_angstrom
        To which the half maps agree.
    """

    size: int
    coarse: int
    pixel_size_angstrom: float
    resolution_angstrom: float

    @classmethod
    def of(cls, size: int, halves: HalfMaps) -> "WorkingGrid":
        """Choose the grid for maps of an edge of `size` voxels of the half maps."""
        length = size * halves.pixel_size_angstrom
        coarse = min(size, 2 * math.ceil(1.05 * length / halves.significant_resolution_angstrom + 1))
        return cls(size, coarse, length / coarse, halves.significant_resolution_angstrom)

    def shell(self, resolution_angstrom: float) -> float:
        """Place of a resolution among the shells of this grid."""
        return self.coarse * self.pixel_size_angstrom / resolution_angstrom

    def take(self, volume: Float[Tensor, "z y x"]) -> Float[Tensor, "new_z new_y new_x"]:
        """Bring a map onto this grid."""
        volume = crop_or_pad(volume, self.size, 3)
        return volume if self.coarse == self.size else resample_map(volume, self.coarse)

    def give_back(self, volume: Float[Tensor, "z y x"]) -> Float[Tensor, "new_z new_y new_x"]:
        """Bring it back to the sampling of the maps."""
        return volume if self.coarse == self.size else resample_map(volume, self.size)

    def curve(self, values: Float[Tensor, " shell"], length_angstrom: float) -> Float[Tensor, " new_shell"]:
        """Read a curve over the shells of a larger box at the shells of this one."""
        ratio = length_angstrom / (self.coarse * self.pixel_size_angstrom)
        place = (torch.arange(self.coarse // 2 + 1, device=values.device) * ratio).clamp(max=len(values) - 1)
        lower = place.floor().long().clamp(max=len(values) - 2)
        return torch.lerp(values[lower], values[lower + 1], (place - lower).to(values))
