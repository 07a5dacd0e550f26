"""An alignment of IMOD, with its local part, as the program `tilt` applies it."""

from dataclasses import dataclass, field

import numpy as np

from mlit.io.imod.local_alignment import LocalAlignment
from mlit.io.imod.transforms import Transforms
from mlit.project.external_alignment import tilt_matrices


@dataclass(frozen=True)
class ImodAlignment:
    """An alignment of IMOD.

    `tilt` looks up the point p of the sample in the aligned image at T p, with T = Ry(-tilt) Rx(-xtilt). With local
    alignments it does so for the four areas around (x, y) of the point, each with its own angles, Z factors and
    transform about the centre of the image, and interpolates linearly between the places. Outside the centres of the
    outermost areas their values are held.

    Attributes
    ----------
    transforms : Transforms
        Raw to aligned images.
    angle_deg, xtilt_deg : ndarray of float64, "tilt"
        Tilt angles, and tilts about x.
    local : LocalAlignment or None
        Alignments of parts of the field.
    aligned_size_px : tuple of float
        Width and height of the aligned images.
    """

    transforms: Transforms
    angle_deg: np.ndarray
    xtilt_deg: np.ndarray
    local: LocalAlignment | None = field(default=None, repr=False)
    aligned_size_px: tuple[float, float] = (0.0, 0.0)

    @property
    def axis_angle_deg(self) -> np.ndarray:
        """Directions of the tilt axis: the transforms turn it onto y; scale and skew do not count, as in Warp."""
        return -np.rad2deg(self.transforms.rotation_rad())

    @property
    def offset_px(self) -> np.ndarray:
        """Shifts, moved to the side of the raw image."""
        angle = self.transforms.rotation_rad()
        c, s = np.cos(angle), np.sin(angle)
        x, y = -self.transforms.shift_px.T
        return np.stack([c * x + s * y, -s * x + c * y], -1)

    @property
    def level_x_deg(self) -> float:
        """Pre-tilt of the sample that stands for the mean tilt about x."""
        return -float(self.xtilt_deg.mean())

    def raw_position_px(self, point_px: np.ndarray) -> np.ndarray:
        """Return where points of the sample lie in the raw images; see `ExternalAlignment`."""
        aligned = self._aligned(point_px)
        return (aligned - self.transforms.shift_px[:, None]) @ np.linalg.inv(self.transforms.matrix).mT

    def _aligned(self, point_px: np.ndarray) -> np.ndarray:
        if self.local is None:
            return point_px @ tilt_matrices(self.angle_deg, self.xtilt_deg)[:, :2].mT
        weights = self._area_weights(self.local, point_px)
        return sum(
            (weights[..., area, None] * self._in_area(self.local, area, point_px) for area in range(weights.shape[-1])),
            start=np.zeros((*point_px.shape[:2], 2)),
        )

    def _in_area(self, local: LocalAlignment, area: int, point_px: np.ndarray) -> np.ndarray:
        """Places in the aligned images by the alignment of one area, "tilt point 2"."""
        xtilt = self.xtilt_deg if local.xtilt_change_deg is None else self.xtilt_deg + local.xtilt_change_deg[area]
        matrix = tilt_matrices(self.angle_deg + local.tilt_change_deg[area], xtilt)[:, :2]
        if local.z_factor is not None:
            matrix[:, :, 2] += local.z_factor[area]
        transforms = local.transforms[area]
        return point_px @ matrix.mT @ transforms.matrix.mT + transforms.shift_px[:, None]

    def _area_weights(self, local: LocalAlignment, point_px: np.ndarray) -> np.ndarray:
        """Weights of the areas for every point, "tilt point area", x fastest."""
        weights = []
        for axis in (0, 1):
            count = local.areas[axis]
            pixel = point_px[..., axis] + self.aligned_size_px[axis] / 2 + 0.5
            place = (pixel - local.start_px[axis]) / (local.spacing_px[axis] or 1.0)
            away = np.abs(np.clip(place, 0, count - 1)[..., None] - np.arange(count))
            weights.append(np.clip(1 - away, 0, None))
        x, y = weights
        return (y[..., :, None] * x[..., None, :]).reshape(*point_px.shape[:2], -1)
