"""Spherical aberration of the series."""

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.deformation.block import Block, shared_columns
from mlit.deformation.imaging import Imaging
from mlit.deformation.local_coordinates import Coordinate
from mlit.deformation.prior import GaussianPrior


class SphericalAberration(Block):
    """Error of the spherical aberration Cs, the same in all tilts.

    Parameters
    ----------
    imaging
        Starting imaging.
    prior_mm
        Standard deviation of the error.
    """

    name = "spherical_aberration"
    unit = "mm"
    axes = ("term",)
    moves = (Coordinate.CS,)

    def __init__(self, imaging: Imaging, prior_mm: float) -> None:
        super().__init__(1, shared_columns(imaging.geometry.tilts, 1), GaussianPrior.independent(1))
        self.start = torch.as_tensor(imaging.optics.cs_mm, dtype=torch.float64)
        self.scale_mm = prior_mm

    def deform(self, imaging: Imaging, raw: Float[Tensor, " parameter"]) -> Imaging:
        """Add the error to the starting Cs."""
        return imaging.with_optics(cs_mm=self.start + raw[0] * self.scale_mm)

    def in_units(self, raw: Float[Tensor, " parameter"]) -> Float[Tensor, "1"]:
        """Deviations from the start in mm."""
        return raw * self.scale_mm
