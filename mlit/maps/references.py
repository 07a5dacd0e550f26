"""References for the next round: half maps, their resolution, and one map for every group of particles.

A particle is compared with a map of its own half set from which its own group of particles was left out: it
never sees its own noise. The map is the posterior mean of the density given the images, with the signal power
from the correlation of the half maps, inside a mask. Below a stated limit both halves contribute to both
references, which keeps their frames together; above it they never meet.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.fourier.insertion import FourierSums
from mlit.fourier.resize import crop_or_pad, resample_map
from mlit.fourier.shells import frequency_radius, shell_mean
from mlit.fourier.slices import ReferenceTable
from mlit.geometry.map_symmetry import NO_SYMMETRY, Symmetry
from mlit.maps.filters import cosine_step, low_pass
from mlit.maps.fsc import FscCurves, fsc_curves, last_significant_shell, maps_at_once, smooth_fsc
from mlit.maps.independence import independent_fraction
from mlit.maps.mask import MaskResult, soft_mask
from mlit.maps.reconstruction import combine, density, divide
from mlit.parallel import run_pieces

ROOM_FOR_EDGE_ANGSTROM = 40.0
LEAST_CORRELATION = 1e-3  # bounds the signal-to-noise ratio where the curve says nothing


@dataclass(frozen=True)
class ReferenceSettings:
    """How references are made.

    Attributes
    ----------
    diameter_angstrom
        Diameter of the molecule.
    shared_resolution_angstrom
        Both halves share their data below this resolution; 0 keeps them apart throughout.
    tight_box
        Side of the reference's box over the diameter, in the least.
    posterior_mean
        Whether references are the posterior mean of the density. If not, they are the plain maps, cut at the
        resolution to which the half maps agree.
    """

    diameter_angstrom: float
    shared_resolution_angstrom: float = 40.0
    tight_box: float = 1.15
    posterior_mean: bool = True

    @property
    def tight_angstrom(self) -> float:
        """Side of the reference's box; leaves room for the soft edge of the mask of a small molecule."""
        return max(self.tight_box * self.diameter_angstrom, self.diameter_angstrom + ROOM_FOR_EDGE_ANGSTROM)


@dataclass(frozen=True)
class HalfMaps:
    """Half maps and what they say about each other.

    Attributes
    ----------
    first, second
        Unfiltered half maps.
    pixel_size_angstrom
        Voxel size.
    mask
        Soft mask of the molecule.
    curves
        Fourier shell correlations.
    significant_resolution_angstrom
        Finest shell up to which the halves agree beyond chance.
    independent_fraction
        Share of Fourier coefficients that are independent of each other: mask and symmetry tie the rest to them.
    """

    first: Float[Tensor, "z y x"]
    second: Float[Tensor, "z y x"]
    pixel_size_angstrom: float
    mask: MaskResult
    curves: FscCurves
    significant_resolution_angstrom: float
    independent_fraction: float

    @classmethod
    def judge(
        cls,
        first: Float[Tensor, "z y x"],
        second: Float[Tensor, "z y x"],
        pixel_size_angstrom: float,
        mask: MaskResult,
        seed: int,
        symmetry: Symmetry = NO_SYMMETRY,
        draws: int = 1,
    ) -> "HalfMaps":
        """Correlate two half maps inside a mask, with phases randomised ``draws`` times.

        Symmetric maps hold several copies of what is independent, so chance correlates them as if each shell were
        that many times smaller.
        """
        curves = fsc_curves(first, second, mask.mask, pixel_size_angstrom, seed, draws)
        independent = independent_fraction(mask, pixel_size_angstrom, symmetry)
        last = max(1, last_significant_shell(curves.corrected, independent))
        resolution = 1 / float(curves.frequency_per_angstrom[last])
        return cls(first, second, pixel_size_angstrom, mask, curves, resolution, independent)

    @property
    def signal(self) -> Float[Tensor, " shell"]:
        """Smoothed correlation, kept away from 0 and 1, and next to nothing beyond the significant shells."""
        frequency = self.curves.frequency_per_angstrom
        smooth = smooth_fsc(self.curves.corrected).clamp(LEAST_CORRELATION, 1 - 1e-4)
        kept = (frequency <= 1.0001 / self.significant_resolution_angstrom).to(smooth.device)
        return torch.where(kept, smooth, torch.full_like(smooth, LEAST_CORRELATION))


def half_maps(
    sums: FourierSums,
    symmetry: Symmetry,
    settings: ReferenceSettings,
    mask: Float[Tensor, "z y x"] | None = None,
    expected_resolution_angstrom: float = 20.0,
    seed: int = 0,
) -> HalfMaps:
    """Half maps from sums whose first half of groups holds half set 1 and the rest half set 2.

    Parameters
    ----------
    sums
        Sums of all images.
    symmetry
        Of the map.
    settings
        How references are made.
    mask
        Mask at the size of the sums; made from the map where it is None.
    expected_resolution_angstrom
        For the smoothness of an automatic mask.
    seed
        For the phase randomisation.
    """
    folds = sums.rows.shape[0] // 2
    first, second = run_pieces(
        lambda half: density(sums, list(range(half * folds, (half + 1) * folds)), symmetry),
        (0, 1),
        sums.rows.device,
        maps_at_once(sums.size),
    )
    if mask is None:
        average = (first + second) / 2
        result = soft_mask(average, sums.pixel_size_angstrom, settings.diameter_angstrom, expected_resolution_angstrom)
    else:
        result = MaskResult(mask, "density", float(mask.mean()))
    return HalfMaps.judge(first, second, sums.pixel_size_angstrom, result, seed, symmetry)


def reference_maps(
    sums: FourierSums,
    halves: HalfMaps,
    symmetry: Symmetry,
    settings: ReferenceSettings,
) -> Float[Tensor, "group z y x"]:
    """One masked posterior-mean map for each group of particles, made without that group, in the tight box."""
    groups = sums.rows.shape[0]
    folds = groups // 2
    size = 2 * round(settings.tight_angstrom / sums.pixel_size_angstrom / 2)
    signal = halves.signal
    share = _shared(sums, settings.shared_resolution_angstrom)
    at_once = maps_at_once(sums.size)
    totals = run_pieces(
        lambda half: combine(sums, list(range(half * folds, (half + 1) * folds)), symmetry),
        (0, 1),
        sums.rows.device,
        at_once,
    )
    prior_of_half = [shell_mean(weight, sums.size) * (1 - signal) / signal for _, weight in totals]
    borrowed = [(share * data, share * weight) for data, weight in reversed(totals)]
    limit = min(size, sums.size)

    def without(group: int) -> Tensor:
        half = group // folds
        data, weight = totals[half]
        prior = prior_of_half[half] if settings.posterior_mean else None
        if folds > 1:
            own_data, own_weight = combine(sums, [group], symmetry)
            data, weight = data - own_data, weight - own_weight
        other_data, other_weight = borrowed[half]
        volume = divide(data + other_data, weight + other_weight, sums, symmetry, prior)
        if not settings.posterior_mean:
            volume = low_pass(volume, sums.pixel_size_angstrom, halves.significant_resolution_angstrom)
        return crop_or_pad(volume * halves.mask.mask, limit, 3)

    return torch.stack(run_pieces(without, range(groups), sums.rows.device, at_once))


def reference_table(
    maps: Float[Tensor, "group z y x"], pixel_size_angstrom: float, resolution_angstrom: float
) -> ReferenceTable:
    """Transform the references, sampled no finer than a resolution needs, ready for slicing."""
    size = maps.shape[-1]
    coarse = min(size, 2 * math.ceil(1.05 * size * pixel_size_angstrom / resolution_angstrom + 2))
    if coarse < size:
        maps = torch.stack([resample_map(volume, coarse) for volume in maps])
    return ReferenceTable.from_maps(maps, pixel_size_angstrom * size / coarse)


def _shared(sums: FourierSums, resolution_angstrom: float) -> Float[Tensor, "kz ky kx"]:
    """Weight of the other half: one at low frequency, zero from the limit on."""
    frequency = frequency_radius(sums.size, 3, sums.rows.device) / sums.length_angstrom
    if resolution_angstrom <= 0:
        return torch.zeros_like(frequency)
    limit = 1 / resolution_angstrom
    return cosine_step(frequency, 0.9 * limit, 0.2 * limit)
