"""Half maps and masks from files, checked before anything is computed with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.errors import InputError
from mlit.io.mrc import MrcHeader, read_mrc, read_mrc_header
from mlit.maps.given_mask import SAME_PIXEL_ANGSTROM, on_grid

SMALLEST_BOX = 16
HIGHEST_CORRELATION = 1 - 1e-5  # of independent half maps, which differ by their noise


@dataclass(frozen=True)
class HalfMapPair:
    """Two half maps on one grid.

    Attributes
    ----------
    first, second
        The maps.
    pixel_size_angstrom
        Their voxel size.
    header
        That of the first; says where viewers show them.
    """

    first: Float[Tensor, "z y x"]
    second: Float[Tensor, "z y x"]
    pixel_size_angstrom: float
    header: MrcHeader


def read_half_maps(paths: Sequence[Path], pixel_size_angstrom: float | None = None) -> HalfMapPair:
    """Read two half maps.

    Parameters
    ----------
    paths
        Two files.
    pixel_size_angstrom
        To be believed in place of the headers.

    Raises
    ------
    InputError
        If they are not two different cubic maps of one size and pixel size.
    """
    if len(paths) != 2:
        raise InputError(f"species.half_maps: give two files, half map 1 and half map 2, not {len(paths)}")
    headers = [read_mrc_header(path) for path in paths]
    if paths[0].samefile(paths[1]):
        raise InputError(f"species.half_maps: both are {paths[0]}; give the two half maps")
    if headers[0].shape != headers[1].shape:
        raise InputError(f"{paths[1]}: its size {headers[1].shape} is not {headers[0].shape}, that of {paths[0]}")
    pixels = [pixel_size_angstrom or _pixel_size(path, header) for path, header in zip(paths, headers, strict=True)]
    if abs(pixels[0] - pixels[1]) > 1e-3 * pixels[0]:
        raise InputError(
            f"{paths[1]}: its pixel size {pixels[1]:g} Å is not {pixels[0]:g} Å, that of {paths[0]}; "
            "if one header is wrong, give species.pixel_size_angstrom=…"
        )
    first, second = (read_cubic(path) for path in paths)
    if _correlation(first, second) > HIGHEST_CORRELATION:
        raise InputError(f"{paths[1]}: is the same map as {paths[0]}; give the two half maps")
    return HalfMapPair(first, second, pixels[0], headers[0])


def read_mask(path: Path, pair: HalfMapPair) -> Float[Tensor, "z y x"]:
    """Read a mask on the grid of the half maps; one of another pixel size is rescaled.

    Raises
    ------
    InputError
        If it has the pixel size but not the box of the maps, or holds nothing.
    """
    header = read_mrc_header(path)
    pixel, box = pair.pixel_size_angstrom, pair.first.shape[-1]
    own = header.pixel_size_angstrom or pixel
    mask = read_cubic(path, "mask")
    if float(mask.min()) < -0.01 or float(mask.max()) > 1.01:
        raise InputError(f"{path}: values range from {mask.min():g} to {mask.max():g}; a mask has values from 0 to 1")
    if abs(own - pixel) > SAME_PIXEL_ANGSTROM:
        mask = on_grid(mask.clamp(0, 1), own, box, pixel)
    elif mask.shape[-1] != box:
        raise InputError(
            f"{path}: has {mask.shape[-1]} pixels along an edge and the half maps have {box}; "
            "give a mask of their box, or one whose header has its true pixel size"
        )
    if not bool((mask > 0.5).any()):
        raise InputError(f"{path}: the mask is empty on the grid of the half maps; check its pixel size and centre")
    return mask.clamp(0, 1)


def _pixel_size(path: Path, header: MrcHeader) -> float:
    if not header.pixel_size_angstrom:
        raise InputError(f"{path}: the header has no pixel size; give species.pixel_size_angstrom=…")
    return header.pixel_size_angstrom


def read_cubic(path: Path, kind: str = "map") -> Float[Tensor, "z y x"]:
    """Read a cubic map and refuse one that cannot be used."""
    array, _ = read_mrc(path)
    if array.ndim != 3 or len(set(array.shape)) != 1:
        raise InputError(f"{path}: is no cubic {kind} but has the size {array.shape}; give a cubic one")
    if array.shape[0] < SMALLEST_BOX:
        raise InputError(f"{path}: is {array.shape[0]} pixels wide; at least {SMALLEST_BOX} are needed")
    volume = torch.from_numpy(array)
    if not bool(volume.isfinite().all()):
        raise InputError(f"{path}: holds values that are not finite; make the {kind} again")
    if not bool(volume.any()):
        raise InputError(f"{path}: is empty, all its values are 0; give another {kind}")
    if kind == "map" and float(volume.min()) == float(volume.max()):
        raise InputError(f"{path}: is empty, all its values are {volume.min():g}; give another map")
    return volume


def _correlation(first: Float[Tensor, "z y x"], second: Float[Tensor, "z y x"]) -> float:
    """Correlation coefficient of all voxels."""
    a, b = (v.double() - v.double().mean() for v in (first, second))
    return float((a * b).sum() / (a.square().sum() * b.square().sum()).sqrt())
