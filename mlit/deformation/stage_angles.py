"""Errors of the stage angles."""

import math

from jaxtyping import Float
from torch import Tensor

from mlit.deformation.block import Block, per_tilt_columns
from mlit.deformation.image_warp import resample_grid
from mlit.deformation.imaging import Imaging
from mlit.deformation.prior import GaussianPrior


class StageAngles(Block):
    """Three small rotations of all particles in each tilt, as M has them: they turn particles, not positions.

    Parameters
    ----------
    imaging
        Starting imaging.
    prior_deg
        Standard deviation of each angle.
    """

    name = "stage_angles"

    def __init__(self, imaging: Imaging, prior_deg: float) -> None:
        tilts = imaging.geometry.tilts
        super().__init__(tilts * 3, per_tilt_columns(tilts, 3), GaussianPrior.independent(tilts * 3))
        rows, columns = imaging.geometry.stage_angles_rad.shape[1:3]
        self.start = resample_grid(imaging.geometry.stage_angles_rad, (tilts, rows, columns))
        self.scale_rad = math.radians(prior_deg)

    def deform(self, imaging: Imaging, raw: Float[Tensor, " parameter"]) -> Imaging:
        """Add the angles to the starting ones."""
        nodes = self.start + (raw * self.scale_rad).reshape(-1, 1, 1, 3)
        return imaging.with_geometry(stage_angles_rad=nodes)

    def physical(self) -> Float[Tensor, "tilt 3"]:
        """Deviation from the start in degrees."""
        return (self.raw.detach() * math.degrees(self.scale_rad)).reshape(-1, 3)
