"""Phase shift of each tilt."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.deformation.block import Block, per_tilt_columns
from mlit.deformation.imaging import Imaging
from mlit.deformation.local_coordinates import Coordinate
from mlit.deformation.prior import GaussianPrior


class PhaseShift(Block):
    """Error of the phase shift of each tilt: one for the whole series, and a scatter about it.

    An error of the amplitude contrast is the same thing as one of the phase shift of the whole series.

    Parameters
    ----------
    imaging
        Starting imaging.
    series_prior_deg
        Standard deviation of the error that all tilts share.
    tilt_prior_deg
        Standard deviation of the rest, independent in every tilt.
    """

    name = "phase_shift"
    unit = "deg"
    axes = ("tilt",)
    moves = (Coordinate.PHASE_SHIFT,)

    def __init__(self, imaging: Imaging, series_prior_deg: float, tilt_prior_deg: float) -> None:
        tilts = imaging.geometry.tilts
        covariance = torch.eye(tilts, dtype=torch.float64) + (series_prior_deg / tilt_prior_deg) ** 2
        prior = GaussianPrior.correlated(torch.arange(tilts)[None], covariance)
        super().__init__(tilts, per_tilt_columns(tilts, 1), prior)
        self.start = imaging.optics.phase_shift_rad
        self.scale_rad = math.radians(tilt_prior_deg)

    def deform(self, imaging: Imaging, raw: Float[Tensor, " parameter"]) -> Imaging:
        """Add the errors to the starting phase shifts."""
        return imaging.with_optics(phase_shift_rad=self.start + raw * self.scale_rad)

    def in_units(self, raw: Float[Tensor, " parameter"]) -> Float[Tensor, " tilt"]:
        """Deviations from the start in degrees."""
        return raw * math.degrees(self.scale_rad)
