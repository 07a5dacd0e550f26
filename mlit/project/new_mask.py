"""A new mask for a species: a given one, a threshold on a map, or the molecule found in its half maps."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

from mlit.errors import InputError
from mlit.fourier.resize import resample_to_pixel_size
from mlit.io.m.species import MSpecies
from mlit.io.mrc import read_mrc_header
from mlit.maps.given_mask import COARSE_ANGSTROM, SAME_PIXEL_ANGSTROM
from mlit.maps.mask import soft_mask
from mlit.project.half_map_files import HalfMapPair, read_cubic, read_half_maps, read_mask


def new_mask(
    species: MSpecies, file: Path | None, threshold: float | None, extend_angstrom: float
) -> Float[Tensor, "z y x"]:
    """Return a mask on the grid of the half maps of a species.

    Parameters
    ----------
    species
        With half maps.
    file
        A mask, or with a threshold a map; None for the average of the half maps.
    threshold
        Density above it is molecule, and the mask is binary; without, a file is the mask, or a soft mask follows the
        molecule in the half maps.
    extend_angstrom
        By how much a mask from a threshold grows.

    Raises
    ------
    InputError
        If a file cannot be used, or nothing is left.
    """
    pair = read_half_maps([species.file("half1"), species.file("half2")])
    average = (pair.first + pair.second) / 2
    if threshold is None:
        if file is not None:
            return read_mask(file, pair)
        resolution = species.resolution_angstrom if species.resolution_angstrom > 0 else COARSE_ANGSTROM
        return soft_mask(average, pair.pixel_size_angstrom, species.diameter_angstrom, resolution).mask
    volume = average if file is None else _on_grid(file, pair)
    above = volume > threshold
    if not bool(above.any()):
        raise InputError(
            f"population.threshold={threshold}: nothing in the map is above; its largest value is {volume.max():g}"
        )
    if extend_angstrom == 0:
        return above.float()
    distance = np.asarray(ndimage.distance_transform_edt(~above.numpy(), sampling=pair.pixel_size_angstrom))
    return torch.from_numpy(distance <= extend_angstrom).float()


def _on_grid(file: Path, pair: HalfMapPair) -> Float[Tensor, "z y x"]:
    own = read_mrc_header(file).pixel_size_angstrom or pair.pixel_size_angstrom
    volume, box = read_cubic(file), pair.first.shape[-1]
    if abs(own - pair.pixel_size_angstrom) > SAME_PIXEL_ANGSTROM or volume.shape[-1] != box:
        return resample_to_pixel_size(volume, own, pair.pixel_size_angstrom, box)
    return volume
