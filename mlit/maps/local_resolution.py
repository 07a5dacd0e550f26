"""Local resolution: correlation of half maps around every point, in windows that shrink with the wavelength.

Both half maps are cut into frequency bands. In each band the two parts a and b are multiplied point by point, and the
products averaged inside the mask under a Gaussian of three wavelengths full width at half maximum:

    F(x) = ⟨a b⟩ / √(⟨a²⟩⟨b²⟩)

The mask weighs products, never the maps, so it correlates nothing by itself. Few independent numbers can agree by
chance; a point counts as resolved where F exceeds both 0.143 and three standard deviations of what noise gives there.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from mlit.fourier.shells import shell_index, shell_mean, spectral_power
from mlit.geometry.map_symmetry import Symmetry
from mlit.maps.filter_bank import Band, bands
from mlit.maps.local_grid import MARGIN, LocalGrid, dilate

WINDOW_IN_WAVELENGTHS = 3.0  # full width at half maximum
SIGMA_PER_WIDTH = 1 / math.sqrt(8 * math.log(2))
SPACING_OVER_RESOLUTION = 0.75  # of the points: a quarter of a window
EXTENT_OVER_COARSEST = 0.25  # wavelength of the coarsest band over the extent of the mask: its window still fits
LEAST_WEIGHT = 0.01  # of the mask, for a point to be looked at
THRESHOLD = 0.143
STANDARD_DEVIATIONS = 3.0
REACH_IN_SIGMAS = 6.0  # farther copies of a window share next to nothing with it


@dataclass(frozen=True)
class LocalResolution:
    """What two half maps say about each other around the points of a grid.

    Attributes
    ----------
    grid
        Where the points lie.
    inside
        Points in the mask and their neighbours; nothing is said about others.
    bands
        Frequency bands, coarse to fine; the lowest is not judged.
    frequency_per_angstrom
        Mean frequency of every judged band (1/Å).
    correlation
        F in every judged band.
    signal_power
        ⟨a b⟩ for each Fourier coefficient of the band, an estimate of the signal's power without bias.
    resolved
        Whether the point is resolved in this band and in all coarser ones.
    resolution_angstrom
        Local resolution. The wavelength of the coarsest judged band stands for "not resolved", and outside.
    """

    grid: LocalGrid
    inside: Bool[Tensor, "z y x"]
    bands: tuple[Band, ...]
    frequency_per_angstrom: Float[Tensor, "band"]
    correlation: Float[Tensor, "band z y x"]
    signal_power: Float[Tensor, "band z y x"]
    resolved: Bool[Tensor, "band z y x"]
    resolution_angstrom: Float[Tensor, "z y x"]

    @property
    def coarsest_angstrom(self) -> float:
        """Wavelength that stands for "not resolved"."""
        return 1 / float(self.frequency_per_angstrom[0])

    def on_map(self, values: Float[Tensor, "z y x"], outside: float) -> Float[Tensor, "new_z new_y new_x"]:
        """Values at the points, interpolated to the voxels of the whole map."""
        around = torch.full((self.grid.box,) * 3, float(outside))
        return self.grid.paste(self.grid.interpolate(values, self.grid.size), around)


@dataclass(frozen=True)
class _FlatPair:
    """Flattened transforms of two half maps, and the mean power by shell that was taken out."""

    spectra: Complex[Tensor, "2 z y half"]
    power: Float[Tensor, "shell"]


@dataclass(frozen=True)
class _Judged:
    """Correlation in one band, how far it lies above what counts, and power of the common signal."""

    frequency: float
    correlation: Float[Tensor, "z y x"]
    margin: Float[Tensor, "z y x"]
    signal_power: Float[Tensor, "z y x"]


def local_resolution(
    half1: Float[Tensor, "z y x"],
    half2: Float[Tensor, "z y x"],
    mask: Float[Tensor, "z y x"],
    pixel_size_angstrom: float,
    resolution_angstrom: float,
    symmetry: Symmetry,
) -> LocalResolution:
    """Resolution around every point of the mask.

    Parameters
    ----------
    half1, half2
        Unfiltered half maps. Voxels that are zero in both are padding and count for nothing.
    mask
        0 to 1; where to look, and what counts.
    pixel_size_angstrom
        Of the maps.
    resolution_angstrom
        Of the whole map, for the spacing of the points.
    symmetry
        Of the half maps: copies of one place are not independent.
    """
    stride = max(1, round(SPACING_OVER_RESOLUTION * resolution_angstrom / pixel_size_angstrom))
    grid = LocalGrid.around(mask, pixel_size_angstrom, stride)
    pair = _flattened(grid.cut(half1), grid.cut(half2))
    weight = grid.cut(mask) * ((grid.cut(half1) != 0) | (grid.cut(half2) != 0))
    coarsest = max(EXTENT_OVER_COARSEST * grid.size * pixel_size_angstrom / MARGIN, 4 * pixel_size_angstrom)
    all_bands = bands(grid.size, pixel_size_angstrom, coarsest)
    inside = dilate(grid.at_points(weight) > LEAST_WEIGHT)
    judged: list[_Judged] = []
    alive = inside
    for band in all_bands[1:]:
        judged.append(_judge(band, pair, weight, grid, symmetry))
        alive = alive & (judged[-1].margin >= 0)
        if not alive.any():
            break
    return _assemble(grid, inside, all_bands[: len(judged) + 1], judged)


def _flattened(part1: Float[Tensor, "z y x"], part2: Float[Tensor, "z y x"]) -> _FlatPair:
    """Transform both parts and divide by their root-mean-square amplitude in each shell."""
    n = part1.shape[-1]
    spectra = torch.fft.rfftn(torch.stack([part1, part2]), dim=(-3, -2, -1))
    power = shell_mean(spectral_power(spectra), n).mean(0)
    shell = shell_index(n).long().clamp(max=n // 2)
    gain = power.clamp(min=1e-12 * float(power.max())).rsqrt()
    return _FlatPair(spectra * gain[shell], power)


def _judge(
    band: Band,
    pair: _FlatPair,
    weight: Float[Tensor, "new_z new_y new_x"],
    grid: LocalGrid,
    symmetry: Symmetry,
) -> _Judged:
    """Correlate both maps in one band around every point."""
    a, b = band.part(pair.spectra, grid.size)
    share = grid.resample(weight, band.size)
    sigma = SIGMA_PER_WIDTH * WINDOW_IN_WAVELENGTHS / band.centre
    cross, power1, power2, volume = (grid.window_sums(v * share, sigma) for v in (a * b, a * a, b * b, torch.ones(())))
    squared = grid.window_sums(share.square(), sigma / math.sqrt(2))
    least = 1e-6 * float(volume.max())
    scale = (power1 * power2).sqrt().clamp(min=least * float(a.square().mean()))
    frequency, values_per_volume = band.statistics(sigma)
    independent = volume.square() / squared.clamp(min=1e-30) * values_per_volume / _copies(grid, sigma, symmetry)
    chance = STANDARD_DEVIATIONS / independent.clamp(min=1).sqrt()
    correlation = torch.where(volume > least, cross / scale, 0.0)
    shell = round(frequency * grid.size * grid.pixel_size_angstrom)
    per_coefficient = pair.power[shell] / ((a.square() + b.square()).mean() / 2)
    signal = torch.where(volume > least, cross / volume.clamp(min=least), 0.0) * per_coefficient
    return _Judged(frequency, correlation, correlation - chance.clamp(min=THRESHOLD), signal)


def _copies(grid: LocalGrid, sigma_angstrom: float, symmetry: Symmetry) -> Tensor:
    """How many times the window around a point sees the same numbers: its overlap with its symmetry copies."""
    if len(symmetry) == 1:
        return torch.ones(())
    position = grid.from_centre_angstrom()
    total = torch.zeros(position.shape[:-1])
    for rotation, shift in zip(*symmetry.operators_within(REACH_IN_SIGMAS * sigma_angstrom), strict=True):
        moved = position @ rotation.float().T + shift.float()
        total += torch.exp(-(position - moved).square().sum(-1) / (4 * sigma_angstrom**2))
    return total


def _assemble(
    grid: LocalGrid, inside: Bool[Tensor, "z y x"], all_bands: tuple[Band, ...], judged: list[_Judged]
) -> LocalResolution:
    """Find where each point ceases to be resolved, between the last band that is and the first that is not."""
    frequency = torch.tensor([one.frequency for one in judged])
    margin = torch.stack([one.margin for one in judged])
    resolved = ((margin >= 0) & inside).int().cumprod(0).bool()
    count = resolved.sum(0)
    last, following = (count - 1).clamp(min=0), count.clamp(max=len(judged) - 1)
    above, below = (margin.gather(0, index[None])[0] for index in (last, following))
    part = (above / (above - below).clamp(min=1e-6)).clamp(0, 1)
    limit = torch.lerp(frequency.log()[last], frequency.log()[following], part).exp()
    limit = torch.where(count > 0, limit, frequency[0])
    return LocalResolution(
        grid,
        inside,
        all_bands,
        frequency,
        torch.stack([one.correlation for one in judged]),
        torch.stack([one.signal_power for one in judged]),
        resolved,
        1 / limit,
    )
