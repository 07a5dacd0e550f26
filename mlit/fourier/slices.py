"""Central slices of references: the projector."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from torch import Tensor

from mlit.fourier.pixels import FourierPixels
from mlit.fourier.trilinear import (
    corners,
    divide_gridding,
    half_grid_voxels,
    reach_in_voxels,
    rotated_coordinates,
)
from mlit.parallel import run_pieces


@dataclass(frozen=True)
class ReferenceTable:
    """Padded transforms of one or more real maps, laid out for interpolation.

    One row a voxel, so that a corner read fetches all channels of it from one cache line. Channels: real and
    imaginary part of the transform, then, where gradients are asked for, real and imaginary part of its
    derivative with respect to the frequency along x, y and z (Å).

    Attributes
    ----------
    rows
        All maps end to end.
    size
        Side of the padded grid in voxels.
    length_angstrom
        Side of the padded box: a frequency k lies at voxel ``k * length_angstrom``.
    """

    rows: Float[Tensor, "voxel channel"]
    size: int
    length_angstrom: float

    @classmethod
    def from_maps(
        cls,
        maps: Float[Tensor, "map z y x"],
        pixel_size_angstrom: float,
        gradient: bool = True,
        padding: int = 2,
    ) -> "ReferenceTable":
        """Transform maps that are supported inside their box.

        Parameters
        ----------
        maps
            Real maps with the particle's centre at index ``n // 2``. Transforms are integrals over volume in
            Å³, so they do not depend on the sampling.
        pixel_size_angstrom
            Voxel size.
        gradient
            Whether to store the derivatives as well.
        padding
            Oversampling of the transform; 2 leaves an interpolation error of a few per cent at most.
        """
        count, n = maps.shape[0], maps.shape[-1]
        size = n * padding
        channels = 8 if gradient else 2
        rows = maps.new_empty(count, half_grid_voxels(size), channels)
        axis = (torch.arange(n, device=maps.device) - n // 2).to(maps.dtype) * pixel_size_angstrom
        volumes = divide_gridding(maps, size) * pixel_size_angstrom**3

        def transform(i: int) -> None:
            single = volumes[i]
            _store(rows[i, :, 0:2], single, size)
            if gradient:
                for channel, weight in enumerate((axis, axis[:, None], axis[:, None, None])):
                    _store(rows[i, :, 2 + 2 * channel : 4 + 2 * channel], single * weight, size, -2j * torch.pi)

        run_pieces(transform, range(count), maps.device)
        return cls(rows.reshape(-1, channels), size, size * pixel_size_angstrom)


def _store(target: Tensor, volume: Tensor, size: int, factor: complex = 1) -> None:
    """Write the padded transform of a volume, times a factor, into two columns of a table."""
    n = volume.shape[-1]
    low = size // 2 - n // 2
    pad = (low, size - n - low) * 3
    spectrum = torch.fft.rfftn(torch.fft.ifftshift(F.pad(volume, pad)))
    spectrum = torch.fft.fftshift(spectrum, dim=(0, 1)).reshape(-1)
    target.copy_(torch.view_as_real(spectrum * factor if factor != 1 else spectrum))


def slices(
    table: ReferenceTable,
    map_index: Int[Tensor, " image"],
    rotation: Float[Tensor, "image 3 3"],
    pixels: FourierPixels,
) -> Float[Tensor, "image pixel channel"]:
    """Central slices ``V(Rᵀ k)`` of the references, real and imaginary parts (and derivatives) as channels.

    Differentiable in ``rotation`` (of the interpolated function). Zero at pixels beyond the Nyquist frequency
    of the references, and in the last voxel before it.
    """
    reach = reach_in_voxels(table.size) / table.length_angstrom
    beyond = pixels.radius[:, None] >= reach if pixels.highest_frequency >= reach else None
    frequency = pixels.frequency if beyond is None else pixels.frequency.masked_fill(beyond, 0.0)
    x, y, z = rotated_coordinates(rotation, frequency * table.length_angstrom)
    voxels = half_grid_voxels(table.size)
    offset = (map_index.to(torch.int32) * voxels)[:, None]
    around = corners(x, y, z, table.size, offset)
    values = F.embedding_bag(around.index, table.rows, per_sample_weights=around.weight, mode="sum")
    values = values * _friedel_signs(values.shape[1], values)[around.mate.long()]
    values = values.reshape(*x.shape, table.rows.shape[1])
    return values if beyond is None else values.masked_fill(beyond, 0.0)


def _friedel_signs(channels: int, like: Tensor) -> Float[Tensor, "2 channel"]:
    """Signs that turn the channels of a mate into those of the point: V(-k) = V(k)*, V'(-k) = -V'(k)*."""
    mate = [1.0, -1.0] + [-1.0, 1.0] * ((channels - 2) // 2)
    return like.new_tensor([[1.0] * channels, mate])
