"""Half maps and masks that the user gives to start from."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.errors import InputError
from mlit.fourier.resize import crop_or_pad, resample_to_pixel_size
from mlit.io.mrc import read_mrc
from mlit.maps.filters import filter_by_shells
from mlit.maps.mask import MaskResult, soft_mask
from mlit.maps.references import HalfMaps
from mlit.training.map_maker import MapSettings, References


def read_cubic_map(path: Path, box: int, pixel_size_angstrom: float) -> Float[Tensor, "z y x"]:
    """Read a map and sample it on the grid of the run.

    Raises
    ------
    InputError
        If it is no cubic map, holds nothing or values that are not finite, or says nothing about its pixel size.
    """
    array, pixel = read_mrc(path)
    if array.ndim != 3 or len(set(array.shape)) != 1:
        raise InputError(f"{path}: is no cubic map but {array.shape}; give a cubic one")
    if not pixel:
        raise InputError(f"{path}: the header has no pixel size; set it (for instance with e2proc3d or relion)")
    volume = torch.from_numpy(array)
    if not bool(volume.isfinite().all()):
        raise InputError(f"{path}: holds values that are not finite; make the map again")
    if not bool(volume.any()):
        raise InputError(f"{path}: is empty, all its values are 0; give another map")
    if abs(pixel - pixel_size_angstrom) < 1e-4 * pixel_size_angstrom:
        return crop_or_pad(volume, box, 3)
    return resample_to_pixel_size(volume, pixel, pixel_size_angstrom, box)


def starting_mask(path: str | Path | None, box: int, pixel_size_angstrom: float) -> Float[Tensor, "z y x"] | None:
    """Given mask on the grid of the run, or None."""
    if path is None:
        return None
    mask = read_cubic_map(Path(path), box, pixel_size_angstrom).clamp(0, 1)
    if not bool((mask > 0.5).any()):
        raise InputError(f"{path}: the mask is empty on the grid of the run; check its pixel size and centre")
    return mask


def starting_references(paths: Sequence[str | Path] | None, maps: MapSettings) -> References | None:
    """Make references from given half maps: filtered by their FSC, masked, one for each group of particles."""
    if paths is None:
        return None
    if len(paths) != 2:
        raise InputError("species.half_maps: give two files, half map 1 and half map 2")
    first, second = (read_cubic_map(Path(p), maps.box, maps.pixel_size_angstrom) for p in paths)
    pixel, diameter = maps.pixel_size_angstrom, maps.references.diameter_angstrom
    mask = (
        soft_mask((first + second) / 2, pixel, diameter, 15.0)
        if maps.mask is None
        else MaskResult(maps.mask, "density", float(maps.mask.mean()))
    )
    if torch.equal(first, second):
        raise InputError(f"species.half_maps: {paths[0]} and {paths[1]} are the same map; give the two half maps")
    halves = HalfMaps.judge(first, second, pixel, mask, maps.seed, maps.symmetry)
    size = 2 * round(maps.references.tight_angstrom / pixel / 2)
    filtered = [
        crop_or_pad(filter_by_shells(half, halves.signal.float()) * mask.mask, size, 3) for half in (first, second)
    ]
    volumes = torch.stack([filtered[g // maps.folds] for g in range(2 * maps.folds)])
    return References(volumes, pixel, halves.significant_resolution_angstrom)
