"""Trilinear weights on half-space Fourier grids.

A half-space grid holds the ``kx >= 0`` half of a Hermitian transform with the origin of ky and kz in
the middle: voxel ``(kz + N/2, ky + N/2, kx)`` of shape ``(N, N, N/2 + 1)``.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Corners:
    """The eight voxels around each point, and how much each counts.

    Attributes
    ----------
    index
        Flat voxel index, int32.
    weight
        Trilinear weight.
    mate
        True where the point lies in the ``kx < 0`` half, so that its Friedel mate is addressed instead.
    """

    index: Int[Tensor, "point 8"]
    weight: Float[Tensor, "point 8"]
    mate: Bool[Tensor, " point"]


def half_grid_voxels(size: int) -> int:
    """Count the voxels of a half-space grid."""
    return size * size * (size // 2 + 1)


def rotated_coordinates(
    rotation: Float[Tensor, "image 3 3"], plane: Float[Tensor, "pixel 2"], height: Float[Tensor, " pixel"] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Coordinates ``Rᵀ (kx, ky, kz)`` of the pixels of each image in the frame of the reference.

    ``height`` is kz; without it the pixels lie in the central plane.

    Returns
    -------
    Three tensors ``"image pixel"``: x, y and z.
    """
    rows = rotation.to(plane)
    x, y = plane[:, 0], plane[:, 1]
    parts = [torch.addcmul(rows[:, 0, i, None] * x, rows[:, 1, i, None], y) for i in range(3)]
    if height is not None:
        parts = [torch.addcmul(part, rows[:, 2, i, None], height) for i, part in enumerate(parts)]
    return parts[0], parts[1], parts[2]


def largest_stretch(rotation: Float[Tensor, "image 3 3"]) -> float:
    """How much farther from the origin than in its image a pixel can come to lie: 1 unless images are magnified."""
    x, y = rotation[:, 0].detach().double(), rotation[:, 1].detach().double()
    xx, yy, xy = x.square().sum(-1), y.square().sum(-1), (x * y).sum(-1)
    squared = (xx + yy) / 2 + torch.hypot((xx - yy) / 2, xy)
    return math.sqrt(max(1.0, float(squared.max()))) if len(squared) else 1.0


def corners(x: Tensor, y: Tensor, z: Tensor, size: int, offset: Tensor | int = 0) -> Corners:
    """Voxels and weights for points given in voxels from the origin of Fourier space.

    Parameters
    ----------
    x, y, z
        Coordinates of any equal shape, inside ``(-size/2, size/2 - 1)``.
    size
        Side of the grid.
    offset
        Added to the flat index, to address one of several grids laid end to end.
    """
    mate = x < 0
    sign = torch.where(mate, -1.0, 1.0).to(x.dtype)
    x, y, z = x * sign, y * sign, z * sign
    x0, y0, z0 = x.floor(), y.floor(), z.floor()
    fx, fy, fz = x - x0, y - y0, z - z0
    half, width = size // 2, size // 2 + 1
    base = ((z0.to(torch.int32) + half) * size + (y0.to(torch.int32) + half)) * width + x0.to(torch.int32)
    base = (base + offset).reshape(-1, 1)
    steps = [(k * size + j) * width + i for k in (0, 1) for j in (0, 1) for i in (0, 1)]
    index = base + torch.tensor(steps, dtype=torch.int32, device=x.device)
    gx, gy, gz = 1 - fx, 1 - fy, 1 - fz
    planes = (gz * gy, gz * fy, fz * gy, fz * fy)
    # Stacked in front and turned around: twice as fast as stacking single numbers at the end.
    weight = torch.stack([plane * along for plane in planes for along in (gx, fx)]).movedim(0, -1)
    return Corners(index, weight.reshape(-1, 8), mate.reshape(-1))


def reach_in_voxels(size: int) -> float:
    """Largest distance from the origin at which all eight corners of a point lie on the grid."""
    return (size / 2 - 1) * (1 - 1e-5)  # less than the rounding of rotated single-precision coordinates


def gridding_profile(size: int, device: torch.device | str = "cpu") -> Float[Tensor, " size"]:
    """Real-space fall-off along one axis caused by linear interpolation in Fourier space.

    Trilinear interpolation multiplies real space by the product of one ``sinc²(r / size)`` for each axis.
    The product is separable, not radial.
    """
    r = torch.arange(size, dtype=torch.float64) - size // 2
    return torch.sinc(r / size).square().float().to(device)


def divide_gridding(volume: Float[Tensor, "... z y x"], padded_size: int | None = None) -> Float[Tensor, "... z y x"]:
    """Divide out the fall-off of trilinear interpolation.

    ``padded_size`` is the side of the grid that is interpolated; by default the volume's own.
    """
    size = volume.shape[-1]
    padded = padded_size or size
    low = padded // 2 - size // 2
    profile = gridding_profile(padded, volume.device)[low : low + size]
    return volume / (profile[:, None, None] * profile[None, :, None] * profile[None, None, :])
