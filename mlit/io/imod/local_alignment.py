"""`…local.xf`: alignments of parts of the field, as `tiltalign` writes and `tilt` reads them.

The first line holds the numbers of areas along x and y, the centre of the first area and their spacing in pixels of
the aligned images (counted from 1), whether x-axis tilts follow, the pixel size, and whether Z factors follow. Then,
for each area (x fastest): changes of the tilt angles, changes of the x-axis tilts, pairs of Z factors, and a transform
for each tilt.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlit.errors import InputError
from mlit.io.imod.transforms import Transforms, transform_lines, transforms_from_rows
from mlit.io.number_lines import fixed, write_lines
from mlit.io.numbers import parse_number
from mlit.io.reading import read_text

_KIND = "local alignment (local.xf)"
_MOST_AREAS = 10_000


@dataclass(frozen=True)
class LocalAlignment:
    """Local alignments of a series.

    Attributes
    ----------
    areas : tuple of int
        Number along x and y.
    start_px, spacing_px : tuple of float
        Centre of the first area and distance to the next, x and y, in aligned images counted from 1.
    pixel_size : float or None
        Of those pixels, in the unit of the header of the stack (IMOD takes nm or Å); None where it is not given.
    tilt_change_deg : ndarray of float64, "area tilt"
        Added to the tilt angles.
    xtilt_change_deg : ndarray of float64, "area tilt", or None
        Added to the x-axis tilts.
    z_factor : ndarray of float64, "area tilt 2", or None
        Shift of x and y in the aligned image for each pixel of depth.
    transforms : tuple of Transforms
        For each area; they act on the aligned images about their centre.
    """

    areas: tuple[int, int]
    start_px: tuple[float, float]
    spacing_px: tuple[float, float]
    pixel_size: float | None
    tilt_change_deg: np.ndarray
    xtilt_change_deg: np.ndarray | None
    z_factor: np.ndarray | None
    transforms: tuple[Transforms, ...]

    @property
    def tilts(self) -> int:
        """Number of tilts."""
        return self.tilt_change_deg.shape[1]


def read_local_alignment(path: Path | str, tilts: int) -> LocalAlignment:
    """Read a local alignment.

    Parameters
    ----------
    path : Path or str
        The file.
    tilts : int
        Number of tilts of the series, which the file does not say.

    Raises
    ------
    InputError
        If the file is absent or damaged, or holds other than the announced numbers.
    """
    path = Path(path)
    lines = read_text(path, _KIND).splitlines()
    head = lines[0].split() if lines else []
    if not 6 <= len(head) <= 9:
        raise InputError(f"{path}: line 1 has {len(head)} values, 6 to 9 are expected; is it a {_KIND}?")
    numbers = [parse_number(word, f"{path}: line 1") for word in head] + [0.0] * (9 - len(head))
    areas = (int(numbers[0]), int(numbers[1]))
    if not (min(areas) >= 1 and max(areas) <= _MOST_AREAS and areas[0] * areas[1] <= _MOST_AREAS):
        raise InputError(f"{path}: line 1 announces {head[0]} × {head[1]} areas; 1 to {_MOST_AREAS} can be")
    if min(numbers[4:6]) <= 0 and max(areas) > 1:
        raise InputError(f"{path}: line 1: areas lie {head[4]} × {head[5]} px apart; distances must be above zero")
    each = 1 + int(bool(numbers[6])) + 2 * int(bool(numbers[8])) + 6
    values = _values(path, lines[1:], areas[0] * areas[1] * each * tilts)
    return _arranged(areas, numbers, values.reshape(areas[0] * areas[1], each * tilts), tilts, len(head) > 7)


def write_local_alignment(path: Path | str, local: LocalAlignment) -> None:
    """Write a local alignment in IMOD's columns."""
    flags = (int(local.xtilt_change_deg is not None), int(local.z_factor is not None))
    head = "".join(f"{n:6d}" for n in local.areas)
    head += "".join(_whole_or_fixed(value) for value in (*local.start_px, *local.spacing_px))
    head += f"{flags[0]:6d}{fixed(local.pixel_size or 0.0, 12, 5)}{flags[1]:4d}"
    lines = [head]
    for area, transforms in enumerate(local.transforms):
        lines += _rows(local.tilt_change_deg[area], 10, 7, 2)
        if local.xtilt_change_deg is not None:
            lines += _rows(local.xtilt_change_deg[area], 10, 7, 2)
        if local.z_factor is not None:
            lines += _rows(local.z_factor[area].reshape(-1), 6, 12, 6)
        lines += transform_lines(transforms)
    write_lines(Path(path), lines)


def _values(path: Path, lines: list[str], count: int) -> np.ndarray:
    values: list[float] = []
    for number, line in enumerate(lines, start=2):
        values += [parse_number(word, f"{path}: line {number}") for word in line.split()]
        if len(values) > count:
            raise InputError(f"{path}: line {number}: more numbers than line 1 announces ({count}); other tilts?")
    if len(values) != count:
        raise InputError(
            f"{path}: holds {len(values)} numbers where line 1 announces {count}; is it cut short, or of other tilts?"
        )
    return np.array(values)


def _arranged(
    areas: tuple[int, int], head: list[float], rows: np.ndarray, tilts: int, has_pixel_size: bool
) -> LocalAlignment:
    has_xtilt, has_z = bool(head[6]), bool(head[8])
    lengths = [tilts, tilts * has_xtilt, 2 * tilts * has_z]
    tilt, xtilt, z, linear = np.split(rows, np.cumsum(lengths), axis=1)
    return LocalAlignment(
        areas=areas,
        start_px=(head[2], head[3]),
        spacing_px=(head[4], head[5]),
        pixel_size=head[7] if has_pixel_size and head[7] > 0 else None,
        tilt_change_deg=tilt,
        xtilt_change_deg=xtilt if has_xtilt else None,
        z_factor=z.reshape(len(rows), tilts, 2) if has_z else None,
        transforms=tuple(transforms_from_rows(row.reshape(tilts, 6)) for row in linear),
    )


def _rows(values: np.ndarray, in_a_line: int, width: int, decimals: int) -> list[str]:
    texts = [fixed(value, width, decimals) for value in values.tolist()]
    return ["".join(texts[i : i + in_a_line]) for i in range(0, len(texts), in_a_line)]


def _whole_or_fixed(value: float) -> str:
    return f"{int(value):6d}" if value == int(value) else fixed(value, 10, 3)
