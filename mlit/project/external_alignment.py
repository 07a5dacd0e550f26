"""What the alignments of other programs have in common, in Warp's sense.

Such a program says where each point of the sample lies in each raw image. Warp's part of that is an axis angle and an
offset for each tilt; what remains, of local alignments, scale and skew, is a displacement in the image.
"""

from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class ExternalAlignment(Protocol):
    """The alignment of one series, in pixels of the stack that was aligned; tilts in file order."""

    @property
    def angle_deg(self) -> np.ndarray:
        """Tilt angles, float64 "tilt"."""
        ...

    @property
    def axis_angle_deg(self) -> np.ndarray:
        """Directions of the tilt axis, float64 "tilt"."""
        ...

    @property
    def offset_px(self) -> np.ndarray:
        """Shifts in the raw image, float64 "tilt 2"."""
        ...

    @property
    def level_x_deg(self) -> float:
        """Pre-tilt of the sample about x, common to all tilts."""
        ...

    def raw_position_px(self, point_px: np.ndarray) -> np.ndarray:
        """Return where points of the sample lie in the raw images.

        Parameters
        ----------
        point_px : ndarray, "tilt point 3"
            From the centre of the sample; for each tilt its own points.

        Returns
        -------
        ndarray
            "tilt point 2", from the centre of the raw image.
        """
        ...


def tilt_matrices(angle_deg: np.ndarray, xtilt_deg: np.ndarray) -> np.ndarray:
    """Return the rotations from sample to aligned image, Ry(-angle) Rx(-xtilt), "… 3 3"."""
    angle, xtilt = np.deg2rad(angle_deg), np.deg2rad(xtilt_deg)
    c, s, ca, sa = np.cos(angle), np.sin(angle), np.cos(xtilt), np.sin(xtilt)
    zero = np.zeros_like(c)
    rows = [[c, s * sa, -s * ca], [zero, ca, sa], [s, -c * sa, c * ca]]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def plane_rotations(angle_deg: np.ndarray) -> np.ndarray:
    """Return rotations in the image plane, from x towards y, "tilt 2 2"."""
    angle = np.deg2rad(angle_deg)
    c, s = np.cos(angle), np.sin(angle)
    return np.moveaxis(np.array([[c, -s], [s, c]]), (0, 1), (-2, -1))


def straight_position_px(alignment: ExternalAlignment, point_px: np.ndarray) -> np.ndarray:
    """Return where Warp's part of an alignment puts points of the sample, "tilt point 2"."""
    level = np.full_like(alignment.angle_deg, -alignment.level_x_deg)
    aligned = point_px @ tilt_matrices(alignment.angle_deg, level)[:, :2].mT
    return aligned @ plane_rotations(alignment.axis_angle_deg).mT + alignment.offset_px[:, None]


def points_in_plane(alignment: ExternalAlignment, image_px: np.ndarray, depth_px: float) -> np.ndarray:
    """Return the points of the sample at one z that Warp's part puts at places of the images.

    Parameters
    ----------
    alignment
        The alignment.
    image_px : ndarray, "point 2"
        Places in every raw image, from its centre.
    depth_px : float
        z of the plane in the sample, from its centre.

    Returns
    -------
    ndarray
        "tilt point 3".
    """
    level = np.full_like(alignment.angle_deg, -alignment.level_x_deg)
    matrix = tilt_matrices(alignment.angle_deg, level)
    aligned = (image_px - alignment.offset_px[:, None]) @ plane_rotations(alignment.axis_angle_deg)
    in_plane = (aligned - depth_px * matrix[:, None, :2, 2]) @ np.linalg.inv(matrix[:, :2, :2]).mT
    return np.concatenate([in_plane, np.full((*in_plane.shape[:2], 1), depth_px)], -1)
