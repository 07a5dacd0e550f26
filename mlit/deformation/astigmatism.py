"""Astigmatism of each tilt."""

from jaxtyping import Float
from torch import Tensor

from mlit.deformation.block import Block, per_tilt_columns
from mlit.deformation.imaging import Imaging
from mlit.deformation.local_coordinates import Coordinate
from mlit.deformation.prior import GaussianPrior


class Astigmatism(Block):
    """Error of the astigmatism of each tilt, as a vector, so that no direction is singled out.

    Parameters
    ----------
    imaging
        Starting imaging.
    prior_um
        Standard deviation of the error along both components of :mod:`mlit.optics.astigmatism`.
    """

    name = "astigmatism"
    unit = "um"
    axes = ("tilt", "component")
    moves = (Coordinate.ASTIGMATISM,)

    def __init__(self, imaging: Imaging, prior_um: float) -> None:
        tilts = imaging.geometry.tilts
        super().__init__(2 * tilts, per_tilt_columns(tilts, 2), GaussianPrior.independent(2 * tilts))
        self.start = imaging.optics.astigmatism_um
        self.scale_um = prior_um

    def deform(self, imaging: Imaging, raw: Float[Tensor, " parameter"]) -> Imaging:
        """Add the errors to the starting astigmatism."""
        return imaging.with_optics(astigmatism_um=self.start + raw.unflatten(0, (-1, 2)) * self.scale_um)

    def in_units(self, raw: Float[Tensor, " parameter"]) -> Float[Tensor, "tilt 2"]:
        """Deviations from the start in µm."""
        return raw.unflatten(0, (-1, 2)) * self.scale_um
