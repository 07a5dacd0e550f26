"""What the headers of tilt images must have in common, wherever a project keeps them."""

from pathlib import Path

import numpy as np

from mlit.errors import InputError

_PIXEL_TOLERANCE = 0.01
_UNSET_PIXEL_ANGSTROM = 1.0  # what programs leave in a header that nobody filled


def check_same_size(path: Path, size_px: tuple[int, int], first_px: tuple[int, int]) -> None:
    """Raise `InputError` if an image has another size x, y than the first of its series."""
    if size_px != first_px:
        x, y = size_px
        raise InputError(
            f"{path}: is {x} × {y} px, but the first image of the series is {first_px[0]} × {first_px[1]} px"
        )


def check_pixel_size(path: Path, pixel_size_angstrom: float | None, expected_angstrom: float, stated: str) -> None:
    """Raise `InputError` if a header states another pixel size; ``stated`` says where that comes from, and the remedy.

    A header that nobody filled is passed over.
    """
    if pixel_size_angstrom is None or np.isclose(pixel_size_angstrom, _UNSET_PIXEL_ANGSTROM):
        return
    if abs(pixel_size_angstrom / expected_angstrom - 1) > _PIXEL_TOLERANCE:
        raise InputError(f"{path}: has a pixel size of {pixel_size_angstrom:g} Å, but {stated}")
