"""A coarse grid of points over the part of a map that a mask leaves, and sums around its points."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mlit.likelihood.tilt_images import even_fast_size

MARGIN = 1.25  # side of the part over the extent of the mask: filters ring at its faces


@dataclass(frozen=True)
class LocalGrid:
    """Points at every `stride`-th voxel of a cubic part of a map.

    Attributes
    ----------
    start
        First voxel z, y, x of the part.
    size
        Its side in voxels.
    stride
        Voxels from point to point.
    pixel_size_angstrom
        Of the map.
    box
        Side of the whole map in voxels.
    """

    start: tuple[int, int, int]
    size: int
    stride: int
    pixel_size_angstrom: float
    box: int

    @classmethod
    def around(cls, mask: Float[Tensor, "z y x"], pixel_size_angstrom: float, stride: int) -> "LocalGrid":
        """Grid over the cube that holds a mask, which must not be empty."""
        box = mask.shape[-1]
        ranges = []
        for axis in range(3):
            used = mask.amax(tuple(other for other in range(3) if other != axis)).nonzero()
            ranges.append((int(used[0]), int(used[-1]) + 1))
        size = min(box, even_fast_size(MARGIN * max(stop - start for start, stop in ranges)))
        first = [min(max((start + stop - size) // 2, 0), box - size) for start, stop in ranges]
        return cls((first[0], first[1], first[2]), size, stride, pixel_size_angstrom, box)

    @property
    def points(self) -> int:
        """Points along one axis."""
        return math.ceil((self.size - 1) / self.stride) + 1

    @property
    def spacing_angstrom(self) -> float:
        """Distance from point to point."""
        return self.stride * self.pixel_size_angstrom

    def cut(self, volume: Float[Tensor, "z y x"]) -> Float[Tensor, "new_z new_y new_x"]:
        """Part of a whole map that the grid covers."""
        z, y, x = (slice(start, start + self.size) for start in self.start)
        return volume[z, y, x]

    def paste(self, part: Float[Tensor, "new_z new_y new_x"], around: Float[Tensor, "z y x"]) -> Float[Tensor, "z y x"]:
        """Whole map that holds the part where the grid covers it, and other values around it."""
        whole = around.clone()
        self.cut(whole)[:] = part
        return whole

    def from_centre_angstrom(self) -> Float[Tensor, "z y x 3"]:
        """Positions x, y, z of all points from index n // 2 of the whole map."""
        step = torch.arange(self.points, dtype=torch.float32) * self.stride
        z, y, x = ((step + start - self.box // 2) * self.pixel_size_angstrom for start in self.start)
        zs, ys, xs = torch.meshgrid(z, y, x, indexing="ij")
        return torch.stack([xs, ys, zs], -1)

    def window_sums(self, values: Float[Tensor, "new_z new_y new_x"], sigma_angstrom: float) -> Float[Tensor, "z y x"]:
        """Integrals of values on an even grid over the part, under a Gaussian around every point (Å³)."""
        spacing = self.size * self.pixel_size_angstrom / values.shape[-1]
        distance = _distances(self.points, self.spacing_angstrom, values.shape[-1], spacing)
        return _along_axes(values, torch.exp(-0.5 * (distance / sigma_angstrom).square()) * spacing)

    def at_points(self, part: Float[Tensor, "new_z new_y new_x"]) -> Float[Tensor, "z y x"]:
        """Largest value of a map of the part in the neighbourhood of every point."""
        pooled = torch.nn.functional.max_pool3d(part[None, None], 2 * self.stride + 1, 1, self.stride)[0, 0]
        index = (torch.arange(self.points) * self.stride).clamp(max=self.size - 1)
        return pooled[index][:, index][:, :, index]

    def interpolate(self, values: Float[Tensor, "z y x"], size: int) -> Float[Tensor, "new_z new_y new_x"]:
        """Values at the points, linearly interpolated to an even grid of `size` points over the part."""
        spacing = self.size * self.pixel_size_angstrom / size
        return _along_axes(values, _linear(size, spacing, self.points, self.spacing_angstrom))

    def resample(self, part: Float[Tensor, "z y x"], size: int) -> Float[Tensor, "new_z new_y new_x"]:
        """Map of the part averaged onto a coarser even grid of `size` points, without overshoot."""
        spacing = self.size * self.pixel_size_angstrom / size
        return _along_axes(part, _linear(size, spacing, self.size, self.pixel_size_angstrom))


def dilate(inside: Bool[Tensor, "z y x"]) -> Bool[Tensor, "z y x"]:
    """Set all neighbours of points that are set."""
    return torch.nn.functional.max_pool3d(inside.float()[None, None], 3, 1, 1)[0, 0] > 0


def _distances(rows: int, row_spacing: float, columns: int, column_spacing: float) -> Float[Tensor, "row column"]:
    return torch.arange(rows)[:, None] * row_spacing - torch.arange(columns) * column_spacing


def _linear(rows: int, row_spacing: float, columns: int, column_spacing: float) -> Float[Tensor, "row column"]:
    """Linear interpolation from columns to rows; where rows are farther apart, means under a triangle."""
    distance = _distances(rows, row_spacing, columns, column_spacing).abs()
    hat = (1 - distance / max(row_spacing, column_spacing)).clamp(min=0)
    return hat / hat.sum(1, keepdim=True)


def _along_axes(
    values: Float[Tensor, "z y x"], matrix: Float[Tensor, "row column"]
) -> Float[Tensor, "new_z new_y new_x"]:
    """Apply a matrix along each of the three axes."""
    for _ in range(3):
        values = (values @ matrix.T).permute(2, 0, 1)
    return values
