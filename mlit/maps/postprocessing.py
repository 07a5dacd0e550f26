"""All that two half maps tell about a map: how far it can be trusted where, and along which direction."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.geometry.map_symmetry import Symmetry
from mlit.maps.directional_fsc import DirectionalFsc, directional_fsc, filter_by_direction
from mlit.maps.filters import sharpen
from mlit.maps.local_filter import filter_locally, local_decay
from mlit.maps.local_resolution import LocalResolution, local_resolution
from mlit.maps.references import HalfMaps
from mlit.maps.sharpening import FilteredMaps, filter_and_sharpen


@dataclass(frozen=True)
class LocalMaps:
    """Local resolution and what follows from it.

    Attributes
    ----------
    analysis
        Local correlation around the points of a grid.
    resolution_angstrom
        Local resolution at every voxel.
    decay_angstrom2
        B of the decay that was undone at every voxel.
    filtered
        Average of the half maps, sharpened and filtered from place to place.
    """

    analysis: LocalResolution
    resolution_angstrom: Float[Tensor, "z y x"]
    decay_angstrom2: Float[Tensor, "z y x"]
    filtered: Float[Tensor, "z y x"]


@dataclass(frozen=True)
class Postprocessed:
    """Results of a pair of half maps; `directional` and what follows is None where the halves agree nowhere.

    Attributes
    ----------
    halves
        The half maps and their correlation.
    maps
        Filtered and sharpened average.
    directional
        Resolution by direction.
    anisotropic
        Sharpened average, filtered along each direction as far as the halves agree there.
    local
        Local resolution and filter.
    """

    halves: HalfMaps
    maps: FilteredMaps
    directional: DirectionalFsc | None
    anisotropic: Float[Tensor, "z y x"] | None
    local: LocalMaps | None


def postprocess(halves: HalfMaps, symmetry: Symmetry, decay_angstrom2: float | None = None) -> Postprocessed:
    """Analyse two half maps.

    Parameters
    ----------
    halves
        The half maps, judged in their mask.
    symmetry
        Of the maps.
    decay_angstrom2
        B of the decay to undo, everywhere; fitted where it is None, for the whole map and locally.
    """
    maps = filter_and_sharpen(halves, decay_angstrom2)
    if not maps.weights.any():
        return Postprocessed(halves, maps, None, None, None)
    directional = directional_fsc(
        halves.first, halves.second, halves.mask.mask, halves.curves, halves.independent_fraction
    )
    best = float(directional.resolution_angstrom.min())
    sharpened = sharpen(maps.average, halves.pixel_size_angstrom, maps.decay_angstrom2 or 0.0, best)
    anisotropic = filter_by_direction(sharpened, maps.weights, directional)
    return Postprocessed(halves, maps, directional, anisotropic, _local_maps(halves, maps, symmetry, decay_angstrom2))


def _local_maps(halves: HalfMaps, maps: FilteredMaps, symmetry: Symmetry, given_decay: float | None) -> LocalMaps:
    """Estimate the local resolution, and filter and sharpen by it."""
    pixel = halves.pixel_size_angstrom
    local = local_resolution(
        halves.first, halves.second, halves.mask.mask, pixel, halves.curves.resolution_angstrom(), symmetry
    )
    decay = maps.decay_angstrom2 or 0.0
    at_points = torch.full_like(local.resolution_angstrom, decay)
    if given_decay is None:
        at_points = local_decay(local).at(local.resolution_angstrom, decay)
    sharpened = sharpen(maps.average, pixel, decay, 2 * pixel)
    return LocalMaps(
        local,
        local.on_map(local.resolution_angstrom, local.coarsest_angstrom),
        local.on_map(at_points, decay),
        filter_locally(sharpened, local, at_points - decay),
    )
