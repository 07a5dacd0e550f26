"""Real-space projection of molecules: rotate the atoms, spread them on a fine grid, keep its low frequencies.

This is deliberately not the refinement's projector (slices of a Fourier volume): data and model then share no
interpolation, and an error in one cannot hide in the other.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mlit.simulation.splat_kernel import OVERSAMPLING, SplatKernel
from mlit.simulation.structure import Structure

_CHUNK_TAPS = 1_000_000

DEFAULT_KERNEL = SplatKernel()
"""Wide enough for five digits."""


@dataclass(frozen=True)
class PatchGrid:
    """Square or oblong output grid of even size with the origin at index n//2.

    Attributes
    ----------
    height, width
        Pixels in y and x.
    pixel_size_angstrom
        Pixel size.
    """

    height: int
    width: int
    pixel_size_angstrom: float

    def frequency_xy(self) -> Float[Tensor, "y xhalf 2"]:
        """Spatial frequency (x, y) in 1/Å of every entry of the rfft2 layout, float64."""
        ky = torch.fft.fftfreq(self.height, self.pixel_size_angstrom, dtype=torch.float64)
        kx = torch.fft.rfftfreq(self.width, self.pixel_size_angstrom, dtype=torch.float64)
        y, x = torch.meshgrid(ky, kx, indexing="ij")
        return torch.stack([x, y], -1)


@dataclass(frozen=True)
class Points:
    """Weighted points of several images; float32.

    Attributes
    ----------
    xy_angstrom
        Position relative to the centre pixel of the point's image.
    weight
        Any unit.
    row
        Which image the point belongs to.
    """

    xy_angstrom: Float[Tensor, "point 2"]
    weight: Float[Tensor, " point"]
    row: Int[Tensor, " point"]


def project_structure(
    structure: Structure,
    rotation: Float[Tensor, "particle 3 3"],
    offset_angstrom: Float[Tensor, "particle 2"],
    grid: PatchGrid,
    kernel: SplatKernel = DEFAULT_KERNEL,
    magnification: Float[Tensor, "2 2"] | None = None,
) -> Complex[Tensor, "particle y xhalf"]:
    """Fourier transform of the molecule's projected potential, band-limited to the grid, without aliasing.

    Parameters
    ----------
    structure
        The molecule.
    rotation
        Maps molecule vectors to the observer's frame; the beam runs along z.
    offset_angstrom
        Where the molecule's origin lies relative to the grid's centre pixel.
    grid
        Output grid; must hold the molecule, or it wraps around.
    kernel
        Bell that spreads the atoms.
    magnification
        Matrix M on Fourier coordinates: the transform at k is the molecule's at ``M k``, so atoms stand at the
        transpose of M times their place. The molecule's origin stays where it is.

    Returns
    -------
    spectrum
        rfft2 layout in complex64; ``irfft2`` gives V Å per pixel with the origin at index n//2.
    """
    plane = torch.eye(2, dtype=torch.float64) if magnification is None else magnification
    flat = plane.T @ rotation[:, :2].double()
    atom_xy = torch.einsum("pij,aj->pai", flat.float(), structure.position_angstrom.float())
    atom_xy = (atom_xy + offset_angstrom.float()[:, None]).reshape(-1, 2)
    row = torch.arange(len(rotation)).repeat_interleave(structure.atoms)
    envelope = structure.envelope((grid.frequency_xy() @ plane.T).square().sum(-1)).to(torch.float32)
    spectrum = torch.zeros(len(rotation), grid.height, grid.width // 2 + 1, dtype=torch.complex64)
    for weight, fall_off in zip(structure.potential_volt_angstrom3.float(), envelope, strict=True):
        points = Points(atom_xy, weight.repeat(len(rotation)), row)
        spectrum = spectrum + splat_points(points, len(rotation), grid, kernel) * fall_off
    return spectrum


def splat_points(points: Points, rows: int, grid: PatchGrid, kernel: SplatKernel) -> Complex[Tensor, "row y xhalf"]:
    """Fourier transforms of sets of weighted points, divided by the area of a pixel."""
    spectrum = _low_frequencies(torch.fft.rfft2(_spread(points, rows, grid, kernel)), grid)
    correction = (kernel.correction(grid.height)[:, None] * kernel.correction(grid.width)).float()
    return spectrum * (correction[:, : grid.width // 2 + 1] / grid.pixel_size_angstrom**2)


def _spread(points: Points, rows: int, grid: PatchGrid, kernel: SplatKernel) -> Float[Tensor, "row yfine xfine"]:
    """Sum of the bells of all points on the fine grid, points in chunks that stay in the cache."""
    height, width = grid.height * OVERSAMPLING, grid.width * OVERSAMPLING
    total = torch.zeros(rows * height * width)
    chunk = max(1, _CHUNK_TAPS // kernel.width**2)
    scale = OVERSAMPLING / grid.pixel_size_angstrom
    for start in range(0, len(points.row), chunk):
        part = slice(start, start + chunk)
        x_index, x_value = kernel.taps(points.xy_angstrom[part, 0] * scale + width // 2, width)
        y_index, y_value = kernel.taps(points.xy_angstrom[part, 1] * scale + height // 2, height)
        line = (points.row[part, None] * height + y_index) * width
        index = line[:, :, None] + x_index[:, None, :]
        value = (points.weight[part, None] * y_value)[:, :, None] * x_value[:, None, :]
        total.index_add_(0, index.reshape(-1), value.reshape(-1))
    return total.reshape(rows, height, width)


def _low_frequencies(fine: Complex[Tensor, "row yfine xfinehalf"], grid: PatchGrid) -> Complex[Tensor, "row y xhalf"]:
    """Cut the fine spectrum down to the grid's band; the Nyquist row is the mean of both ends of the band.

    The Nyquist column needs no such care: the inverse transform takes its Hermitian part.
    """
    half = grid.height // 2
    band = fine[:, :, : grid.width // 2 + 1]
    nyquist = (band[:, half : half + 1] + band[:, -half, None]) / 2
    return torch.cat([band[:, :half], nyquist, band[:, 1 - half :]], dim=1)


def fast_even_size(least: float) -> int:
    """Smallest even size not below ``least`` whose prime factors are 2, 3 and 5: quick to transform."""
    size = 2 * math.ceil(least / 2)
    while _largest_odd_part(size) > 1:
        size += 2
    return size


def _largest_odd_part(size: int) -> int:
    """Divide out all factors 2, 3 and 5."""
    for factor in (2, 3, 5):
        while size % factor == 0:
            size //= factor
    return size
