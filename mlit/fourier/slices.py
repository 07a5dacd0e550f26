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
    largest_stretch,
    reach_in_voxels,
    rotated_coordinates,
)
from mlit.parallel import run_pieces


@dataclass(frozen=True)
class ReferenceTable:
    """Padded transforms of one or more real maps, laid out for interpolation.

    One row a voxel, so that a corner read fetches all channels of it from one cache line. A row holds the real parts
    of one or four quantities, then their imaginary parts. The quantities are the transform V of the map v and, where
    gradients are asked for, the transforms of -2π x v, -2π y v and -2π z v, of which the derivatives of V by
    frequency are i times (Å).

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
        quantities = 4 if gradient else 1
        rows = maps.new_empty(count, half_grid_voxels(size), 2 * quantities)
        axis = (torch.arange(n, device=maps.device) - n // 2).to(maps.dtype) * pixel_size_angstrom
        volumes = divide_gridding(maps, size) * pixel_size_angstrom**3

        def transform(i: int) -> None:
            single = volumes[i]
            _store(rows[i, :, 0::quantities], single, size)
            if gradient:
                for quantity, place in enumerate((axis, axis[:, None], axis[:, None, None]), 1):
                    _store(rows[i, :, quantity::quantities], single * (-2 * torch.pi * place), size)

        run_pieces(transform, range(count), maps.device)
        return cls(rows.reshape(-1, 2 * quantities), size, size * pixel_size_angstrom)


def _store(target: Tensor, volume: Tensor, size: int) -> None:
    """Write the padded transform of a volume into two columns of a table."""
    n = volume.shape[-1]
    low = size // 2 - n // 2
    pad = (low, size - n - low) * 3
    spectrum = torch.fft.rfftn(torch.fft.ifftshift(F.pad(volume, pad)))
    spectrum = torch.fft.fftshift(spectrum, dim=(0, 1)).reshape(-1)
    target.copy_(torch.view_as_real(spectrum))


def slices(
    table: ReferenceTable,
    map_index: Int[Tensor, " image"],
    rotation: Float[Tensor, "image 3 3"],
    pixels: FourierPixels,
    height: Float[Tensor, " pixel"] | None = None,
) -> Float[Tensor, "image part quantity pixel"]:
    """Central slices at ``Rᵀ k`` of all quantities in a table, real and imaginary parts.

    Differentiable in ``rotation`` (of the interpolated function). Zero at pixels beyond the Nyquist frequency
    of the references, and in the last voxel before it. ``height`` (1/Å) bends the slices: it is the third component
    of k at each pixel, which is 0 without it.
    """
    reach = reach_in_voxels(table.size) / (table.length_angstrom * largest_stretch(rotation))
    radius = pixels.radius if height is None else torch.hypot(pixels.radius, height)
    highest = pixels.highest_frequency if height is None else float(radius.max())
    beyond = radius >= reach if highest >= reach else None
    frequency = pixels.frequency if beyond is None else pixels.frequency.masked_fill(beyond[:, None], 0.0)
    if height is not None:
        height = (height if beyond is None else height.masked_fill(beyond, 0.0)) * table.length_angstrom
    x, y, z = rotated_coordinates(rotation, frequency * table.length_angstrom, height)
    voxels = half_grid_voxels(table.size)
    offset = (map_index.to(torch.int32) * voxels)[:, None].to(x.device)
    around = corners(x, y, z, table.size, offset)
    read = F.embedding_bag(around.index, table.rows, per_sample_weights=around.weight, mode="sum")
    # One row a point suits the table; one row a quantity suits all arithmetic that follows.
    quantities = table.rows.shape[1] // 2
    read = read.reshape(*x.shape, 2 * quantities).transpose(1, 2).contiguous().unflatten(1, (2, quantities))
    mate = torch.where(around.mate, -1.0, 1.0).to(read).reshape(x.shape[0], 1, x.shape[1])
    values = torch.stack([read[:, 0], read[:, 1] * mate], 1)
    return values if beyond is None else values.masked_fill(beyond, 0.0)
