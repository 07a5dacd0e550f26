"""An alignment of AreTomo, with its local part, as AreTomo applies it."""

from dataclasses import dataclass

import numpy as np

from mlit.io.aretomo.alignment import AreTomoAlignment
from mlit.project.external_alignment import plane_rotations, tilt_matrices


@dataclass(frozen=True)
class AreTomoSeries:
    """An alignment of AreTomo whose rows are the tilts of a series, in file order.

    Attributes
    ----------
    alignment : AreTomoAlignment
        The file, its rows ordered as the tilts.
    image_size_px : tuple of float
        Width and height of the raw images.
    """

    alignment: AreTomoAlignment
    image_size_px: tuple[float, float]

    @property
    def angle_deg(self) -> np.ndarray:
        """Tilt angles."""
        return self.alignment.angle_deg

    @property
    def axis_angle_deg(self) -> np.ndarray:
        """Directions of the tilt axis; AreTomo's sense is Warp's."""
        return self.alignment.axis_angle_deg

    @property
    def offset_px(self) -> np.ndarray:
        """Shifts in the raw image, as in Warp."""
        return self.alignment.shift_px

    @property
    def level_x_deg(self) -> float:
        """None: AreTomo does not tilt about x."""
        return 0.0

    def raw_position_px(self, point_px: np.ndarray) -> np.ndarray:
        """Return where points of the sample lie in the raw images; see `ExternalAlignment`."""
        matrix = tilt_matrices(self.angle_deg, np.zeros_like(self.angle_deg))[:, :2]
        turned = point_px @ matrix.mT @ plane_rotations(self.axis_angle_deg).mT
        local = self.alignment.local_shift_px(turned, self.image_size_px)
        return turned + local + self.offset_px[:, None]
