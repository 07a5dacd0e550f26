"""`.aln` of AreTomo: axis, shift and angle of every tilt, and shifts of patches of the images.

AreTomo looks up the point a of an aligned image (from its centre, tilt axis along y) in the raw one at
Rz(ROT) a + local shift + (TX, TY), counted from the centre of the raw image. The local shift at p = Rz(ROT) a is the
mean of the shifts of the good patches, weighted with exp(-100 ((Δx / width)² + (Δy / height)²)).
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mlit.errors import InputError
from mlit.io.number_lines import fixed, write_lines
from mlit.io.numbers import parse_number
from mlit.io.reading import read_text

_KIND = "AreTomo alignment (.aln)"
_MOST_LINES = 2_000_000
_LOCAL_TITLE = "# Local Alignment"
_GLOBAL_TITLE = "# SEC"
_GOOD = 0.9
_MOST_PATCHES = 1024


@dataclass(frozen=True)
class AreTomoAlignment:
    """Everything that a `.aln` file says.

    Attributes
    ----------
    header : tuple of str
        All lines before the first table, as written.
    section : ndarray of int64, "tilt"
        Numbers of the images (SEC). Versions of AreTomo count them with or without dark images.
    axis_angle_deg, magnification, angle_deg : ndarray of float64, "tilt"
        ROT, GMAG, TILT.
    shift_px : ndarray of float64, "tilt 2"
        TX, TY.
    statistics : ndarray of float64, "tilt 4"
        SMEAN, SFIT, SCALE, BASE.
    patches : ndarray of float64, "tilt patch 5", or None
        Centre x, y and shift x, y in pixels, counted from the centre of the raw image, and whether it is good.
    """

    header: tuple[str, ...]
    section: np.ndarray
    axis_angle_deg: np.ndarray
    magnification: np.ndarray
    shift_px: np.ndarray
    statistics: np.ndarray
    angle_deg: np.ndarray
    patches: np.ndarray | None = None

    @property
    def tilts(self) -> int:
        """Number of tilts that were aligned."""
        return len(self.angle_deg)

    def header_numbers(self, key: str) -> list[tuple[float, ...]]:
        """Return the numbers behind every `# key =` of the header."""
        found = []
        for line in self.header:
            name, equals, text = line.lstrip("# ").partition("=")
            if equals and name.strip() == key:
                found.append(tuple(parse_number(word, f"{_KIND}: {key}") for word in text.split()))
        return found

    @property
    def dark_angles_deg(self) -> np.ndarray:
        """Tilt angles of images that were left out as dark, float64."""
        return np.array([numbers[2] for numbers in self.header_numbers("DarkFrame") if len(numbers) == 3])

    @property
    def thickness_px(self) -> float | None:
        """Thickness of the sample, where it was estimated."""
        found = self.header_numbers("Thickness")
        return found[-1][0] if found and found[-1] else None

    @property
    def angle_offset_deg(self) -> float:
        """What was added to the tilt angles (AlphaOffset)."""
        found = self.header_numbers("AlphaOffset")
        return found[-1][0] if found and found[-1] else 0.0

    def of_tilts(self, order: np.ndarray) -> "AreTomoAlignment":
        """Return the alignment with other tilts or another order; `order` holds rows."""
        per_tilt = ("section", "axis_angle_deg", "magnification", "shift_px", "statistics", "angle_deg")
        patches = None if self.patches is None else self.patches[order]
        return replace(self, **{name: getattr(self, name)[order] for name in per_tilt}, patches=patches)

    def local_shift_px(self, position_px: np.ndarray, image_size_px: tuple[float, float]) -> np.ndarray:
        """Return the local shift of every tilt, "tilt point 2".

        Parameters
        ----------
        position_px : ndarray, "tilt point 2"
            From the centre of the raw image, without the shift of the tilt.
        image_size_px : tuple of float
            Width and height of the raw images.
        """
        if self.patches is None:
            return np.zeros_like(position_px)
        shifts = [_patch_mean(p, where, image_size_px) for p, where in zip(self.patches, position_px, strict=True)]
        return np.stack(shifts)


def read_alignment(path: Path | str) -> AreTomoAlignment:
    """Read a `.aln` file.

    Raises
    ------
    InputError
        If the file is absent or damaged, or holds other numbers of tilts or patches than it announces.
    """
    path = Path(path)
    lines = read_text(path, _KIND).splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith(_GLOBAL_TITLE)), None)
    if start is None or len(lines) > _MOST_LINES:
        raise InputError(f"{path}: has no table of tilts (# SEC ROT …); is it an {_KIND}?")
    local = next((i for i, line in enumerate(lines) if line.startswith(_LOCAL_TITLE)), len(lines))
    rows = _table(path, lines, start + 1, local, 10)
    if not len(rows):
        raise InputError(f"{path}: lists no tilts; align the series again")
    alignment = AreTomoAlignment(
        header=tuple(lines[:start]),
        section=rows[:, 0].astype(np.int64),
        axis_angle_deg=rows[:, 1],
        magnification=rows[:, 2],
        shift_px=rows[:, 3:5],
        statistics=rows[:, 5:9],
        angle_deg=rows[:, 9],
        patches=_patches(path, _table(path, lines, local + 1, len(lines), 7), len(rows))
        if local < len(lines)
        else None,
    )
    for key in ("RawSize", "DarkFrame", "Thickness", "AlphaOffset", "BetaOffset", "NumPatches"):
        alignment.header_numbers(key)  # now, so that what is no number is told with the file
    return alignment


def write_alignment(path: Path | str, alignment: AreTomoAlignment) -> None:
    """Write a `.aln` file in AreTomo's columns."""
    lines = [*alignment.header]
    lines.append("# SEC     ROT         GMAG       TX          TY      SMEAN     SFIT    SCALE     BASE     TILT")
    for i in range(alignment.tilts):
        columns = [
            fixed(float(alignment.axis_angle_deg[i]), 9, 4),
            fixed(float(alignment.magnification[i]), 9, 5),
            *(fixed(value, 9, 3) for value in alignment.shift_px[i].tolist()),
            *(fixed(value, 7, 2) for value in alignment.statistics[i].tolist()),
            fixed(float(alignment.angle_deg[i]), 8, 2),
        ]
        lines.append("  ".join([f"{alignment.section[i]:5d}", *columns]))
    if alignment.patches is not None:
        lines.append(_LOCAL_TITLE)
        for tilt, patches in enumerate(alignment.patches):
            lines += [
                f"{tilt:4d} {number:3d} " + "  ".join([*(fixed(value, 8, 2) for value in row[:4]), f"{row[4]:4.1f}"])
                for number, row in enumerate(patches.tolist())
            ]
    write_lines(Path(path), lines)


def _patch_mean(patches: np.ndarray, position_px: np.ndarray, image_size_px: tuple[float, float]) -> np.ndarray:
    """Weighted mean of the shifts of good patches at points of one tilt, "point 2"."""
    good = patches[patches[:, 4] >= _GOOD]
    if not len(good):
        return np.zeros_like(position_px)
    away = (position_px[:, None] - good[:, :2]) / np.array(image_size_px)
    exponent = -100.0 * (away**2).sum(-1)
    weight = np.exp(exponent - exponent.max(-1, keepdims=True))  # no underflow far from every patch
    return weight @ good[:, 2:4] / weight.sum(-1, keepdims=True)


def _table(path: Path, lines: list[str], start: int, stop: int, columns: int) -> np.ndarray:
    rows = []
    for number, line in enumerate(lines[start:stop], start=start + 1):
        words = line.split()
        if not words:
            continue
        if len(words) != columns:
            raise InputError(f"{path}: line {number} has {len(words)} values, {columns} are expected; is it cut short?")
        rows.append([parse_number(word, f"{path}: line {number}") for word in words])
    return np.array(rows).reshape(-1, columns)


def _patches(path: Path, rows: np.ndarray, tilts: int) -> np.ndarray:
    """Arrange rows of tilt, patch, x, y, dx, dy, good."""
    count = len(rows) // tilts if tilts else 0
    expected = np.stack([np.repeat(np.arange(tilts), count), np.tile(np.arange(count), tilts)], -1)
    if count > _MOST_PATCHES:
        raise InputError(f"{path}: lists {count} patches in each tilt, more than AreTomo makes; is it an {_KIND}?")
    if not count or len(rows) != tilts * count or not np.array_equal(rows[:, :2], expected):
        raise InputError(
            f"{path}: the local alignment does not list the same patches for each of {tilts} tilts; is it cut short?"
        )
    return rows[:, 2:].reshape(tilts, count, 5)
