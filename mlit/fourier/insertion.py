"""Insertion of Fourier slices into three-dimensional sums: the adjoint of the projector."""

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mlit.fourier.pixels import FourierPixels
from mlit.fourier.trilinear import corners, half_grid_voxels, largest_stretch, reach_in_voxels, rotated_coordinates


@dataclass(frozen=True)
class FourierSums:
    """Sums of data and weights on half-space grids, one grid for each group of particles.

    Attributes
    ----------
    rows
        Channels: real part, imaginary part and weight, each times the distance from the origin in voxels.
    size
        Side of the grid in voxels.
    pixel_size_angstrom
        Voxel size of the map that the sums will give.
    resolution_angstrom
        Finest detail inserted: voxels beyond it hold nothing but the rims of interpolation kernels.
    """

    rows: Float[Tensor, "group voxel 3"]
    size: int
    pixel_size_angstrom: float
    resolution_angstrom: float

    @classmethod
    def zeros(
        cls,
        groups: int,
        box: int,
        pixel_size_angstrom: float,
        resolution_angstrom: float,
        device: torch.device | str = "cpu",
    ) -> "FourierSums":
        """Empty sums for maps with the side of ``box`` pixels, sampled no finer than a resolution needs."""
        length = box * pixel_size_angstrom
        size = min(box, 2 * math.ceil(length / resolution_angstrom + 1))
        rows = torch.zeros(groups, half_grid_voxels(size), 3, device=device)
        return cls(rows, size, length / size, resolution_angstrom)

    @property
    def length_angstrom(self) -> float:
        """Side of the maps."""
        return self.size * self.pixel_size_angstrom

    @property
    def last_shell(self) -> int:
        """Outermost shell that is fully covered by what was inserted."""
        return int(min(self.length_angstrom / self.resolution_angstrom, self.size / 2 - 1)) - 1


def insert(
    sums: FourierSums,
    group: int,
    rotation: Float[Tensor, "image 3 3"],
    data: Complex[Tensor, "image pixel"],
    weight: Float[Tensor, "image pixel"],
    pixels: FourierPixels,
    height: Float[Tensor, " pixel"] | None = None,
) -> None:
    """Add images and their weights, times ``|k|``, at ``Rᵀ k`` to one group of the sums, in place.

    ``height`` (1/Å) bends the slices: it is the third component of k at each pixel, which is 0 without it.

    Central slices lie as ``1/|k|`` more densely near the origin. Without the factor the kernel average of a
    voxel leans towards the origin, which brightens the middle of a map (by 10 % over half a box). Pixels
    whose interpolation kernel would leave the grid are left out.
    """
    plane = pixels.frequency * sums.length_angstrom
    above = None if height is None else height * sums.length_angstrom
    ramp = plane.norm(dim=-1)
    radius = ramp if above is None else torch.hypot(ramp, above)
    reach = reach_in_voxels(sums.size) / largest_stretch(rotation)
    if float(radius.max()) >= reach:
        inside = radius < reach
        ramp, plane = ramp * inside, plane * inside[:, None]  # pixels beyond add nothing, at the origin
        above = None if above is None else above * inside
        used = len(inside) - int(inside.flip(0).int().argmax())  # few are left: pixels are ordered by shell
        ramp, plane, data, weight = ramp[:used], plane[:used], data[:, :used], weight[:, :used]
        above = None if above is None else above[:used]
    x, y, z = rotated_coordinates(rotation, plane, above)
    around = corners(x, y, z, sums.size)
    data, weight = data * ramp, weight * ramp
    imaginary = torch.where(around.mate, -1.0, 1.0) * data.imag.reshape(-1)
    values = torch.stack([data.real.reshape(-1), imaginary, weight.reshape(-1)], -1)
    scatter_rows(sums.rows[group], around.index, around.weight, values)


def scatter_rows(
    target: Float[Tensor, "voxel channel"],
    index: Int[Tensor, "point 8"],
    weight: Float[Tensor, "point 8"],
    values: Float[Tensor, "point channel"],
) -> None:
    """``target[index[p, c]] += weight[p, c] * values[p]``, in place.

    On a CPU the sum is the product of a transposed sparse matrix with the values, which SciPy does an order
    of magnitude faster than PyTorch's scatter operations.
    """
    if target.device.type != "cpu":
        for corner in range(8):
            target.index_add_(0, index[:, corner], values * weight[:, corner, None])
        return
    points = index.shape[0]
    starts = np.arange(0, 8 * points + 1, 8, dtype=np.int32)
    matrix = scipy.sparse.csr_matrix(
        (weight.numpy().ravel(), index.numpy().ravel(), starts), shape=(points, target.shape[0])
    )
    target += torch.from_numpy(matrix.T @ values.numpy())
