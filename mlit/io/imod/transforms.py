"""`.xf`: how each raw image is turned and shifted to become an aligned one.

A line holds a11, a12, a21, a22, dx, dy. The point x of the raw image, counted in pixels from its centre, lies at
A x + d in the aligned image, counted from the centre of that. The tilt axis of aligned images runs along y.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlit.errors import InputError
from mlit.io.number_lines import fixed, read_rows, write_lines

_SINGULAR = 0.01


@dataclass(frozen=True)
class Transforms:
    """Linear transforms of a series, in file order.

    Attributes
    ----------
    matrix : ndarray of float64, "tilt 2 2"
        A, which takes raw to aligned images.
    shift_px : ndarray of float64, "tilt 2"
        d, in pixels of the stack that was aligned.
    """

    matrix: np.ndarray
    shift_px: np.ndarray

    def __len__(self) -> int:
        return len(self.matrix)

    def rotation_rad(self) -> np.ndarray:
        """Angle of the rotation in each transform, "tilt": that of its first column, as Warp takes it."""
        return np.arctan2(self.matrix[:, 1, 0], self.matrix[:, 0, 0])

    @property
    def is_rounded(self) -> bool:
        """Whether matrices have three decimals, as AreTomo writes them: scale and skew are then rounding errors."""
        thousandfold = 1000 * self.matrix
        return bool((np.abs(thousandfold - np.round(thousandfold)) < 1e-6).all())

    def as_rotations(self) -> "Transforms":
        """Return transforms without scale and skew."""
        angle = self.rotation_rad()
        c, s = np.cos(angle), np.sin(angle)
        return Transforms(np.moveaxis(np.array([[c, -s], [s, c]]), (0, 1), (-2, -1)), self.shift_px)


def read_transforms(path: Path | str) -> Transforms:
    """Read a `.xf` file.

    Raises
    ------
    InputError
        If a line does not hold six finite numbers, or a transform cannot be undone.
    """
    rows = read_rows(Path(path), "transform file (.xf)", 6)
    transforms = transforms_from_rows(rows)
    lost = np.flatnonzero(np.abs(np.linalg.det(transforms.matrix)) < _SINGULAR)
    if lost.size:
        raise InputError(f"{path}: transform {lost[0] + 1} flattens the image; align this tilt again")
    return transforms


def write_transforms(path: Path | str, transforms: Transforms) -> None:
    """Write a `.xf` file in IMOD's columns."""
    write_lines(Path(path), transform_lines(transforms))


def transforms_from_rows(rows: np.ndarray) -> Transforms:
    """Return the transforms that rows of six numbers hold."""
    return Transforms(rows[:, :4].reshape(-1, 2, 2), rows[:, 4:])


def transform_lines(transforms: Transforms) -> list[str]:
    """Return the lines of a `.xf` file."""
    return [
        "".join([*(fixed(a, 12, 7) for a in matrix.reshape(-1).tolist()), *(fixed(d, 12, 3) for d in shift.tolist())])
        for matrix, shift in zip(transforms.matrix, transforms.shift_px, strict=True)
    ]
