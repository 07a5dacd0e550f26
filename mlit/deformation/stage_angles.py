"""Errors of the stage angles."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.deformation.block import Block, per_tilt_columns
from mlit.deformation.image_warp import resample_grid
from mlit.deformation.imaging import Imaging
from mlit.deformation.prior import GaussianPrior


class StageAngles(Block):
    """Three small rotations of each tilt.

    As M has them, they are rotations about x, y and z of the image that turn particles and not positions. As errors of
    the stage they are those of the tilt angle and of the axis angle, which move the particles as well, and a rotation
    about the direction across the axis. For this one files have no place but that of M's angles, so it turns particles
    only; what it would move is a bend of the image that an image warp can take up.

    Parameters
    ----------
    imaging
        Starting imaging.
    prior_deg
        Standard deviation of each angle.
    physical
        Whether the angles are errors of the stage.
    """

    name = "stage_angles"
    unit = "deg"
    axes = ("tilt", "axis")

    def __init__(self, imaging: Imaging, prior_deg: float, physical: bool = False) -> None:
        geometry = imaging.geometry
        tilts = geometry.tilts
        super().__init__(tilts * 3, per_tilt_columns(tilts, 3), GaussianPrior.independent(tilts * 3))
        rows, columns = geometry.stage_angles_rad.shape[1:3]
        self.start = resample_grid(geometry.stage_angles_rad, (tilts, rows, columns))
        self.tilt_angle_rad, self.axis_angle_rad = geometry.tilt_angle_rad, geometry.axis_angle_rad
        self.scale_rad = math.radians(prior_deg)
        self.as_errors_of_stage = physical

    def deform(self, imaging: Imaging, raw: Float[Tensor, " parameter"]) -> Imaging:
        """Add the angles to the starting ones."""
        angles = (raw * self.scale_rad).reshape(-1, 3)
        if not self.as_errors_of_stage:
            return imaging.with_geometry(stage_angles_rad=self.start + angles[:, None, None])
        across, tilt, axis = angles.unbind(1)
        direction = torch.stack([self.axis_angle_rad.cos(), self.axis_angle_rad.sin(), 0 * self.axis_angle_rad], -1)
        return imaging.with_geometry(
            stage_angles_rad=self.start + (across[:, None] * direction)[:, None, None],
            tilt_angle_rad=self.tilt_angle_rad + tilt,
            axis_angle_rad=self.axis_angle_rad + axis,
        )

    def in_units(self, raw: Float[Tensor, " parameter"]) -> Float[Tensor, "tilt 3"]:
        """Deviations from the start in degrees: about x, y, z, or about the direction across, in tilt and in axis."""
        return (raw * math.degrees(self.scale_rad)).reshape(-1, 3)
