"""The scale of maps that a person gives: every program has units of its own for density."""

import logging

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.fourier.resize import crop_or_pad, resample_map
from mlit.maps.references import HalfMaps

LOG = logging.getLogger("mlit")
LEAST_CORRELATION = 0.1  # below it, given maps and the particles' own map have little in common


def scale_to_images(maps: Float[Tensor, "group z y x"], pixel_size_angstrom: float, halves: HalfMaps) -> float:
    """Return the factor that brings given references to the units of the images.

    The map of the particles at their starting poses has these units. Amplitudes of the tilts have a prior about
    one, so references that are far too weak would not be fitted at all. Where the maps have nothing in common,
    the factor is next to nothing: the first iteration then leaves everything as it is.

    Parameters
    ----------
    maps
        Given references.
    pixel_size_angstrom
        Their voxel size.
    halves
        Half maps of the particles at their starting poses.
    """
    size = halves.first.shape[0]
    box = round(size * halves.pixel_size_angstrom / pixel_size_angstrom)
    given = resample_map(crop_or_pad(maps.mean(0), box, 3), size)
    own = (halves.first + halves.second) / 2 * halves.mask.mask
    product, power = float((given * own).sum()), float(given.square().sum())
    correlation = product / max(power * float(own.square().sum()), torch.finfo(torch.float64).tiny) ** 0.5
    if correlation < LEAST_CORRELATION:
        LOG.warning(
            "the given half maps hardly resemble the map of the particles (correlation %.2f): "
            "check that molecules are bright, and hand, centre and pixel size",
            correlation,
        )
    return max(product, 1e-6 * abs(product)) / power if power > 0 else 1.0
