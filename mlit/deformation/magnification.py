"""Magnification of the images of a series."""

from jaxtyping import Float
from torch import Tensor

from mlit.deformation.block import Block, shared_columns
from mlit.deformation.imaging import Imaging
from mlit.deformation.local_coordinates import Coordinate
from mlit.deformation.prior import GaussianPrior


class Magnification(Block):
    """Error of the magnification matrix, the same in all tilts.

    Independent errors of equal width in its four entries are just as independent, and as wide, along its natural
    directions: equal magnification, stretch along and across, stretch along the diagonals, and a turn.

    Parameters
    ----------
    imaging
        Starting imaging.
    prior_percent
        Standard deviation of the error of each entry.
    """

    name = "magnification"
    unit = "percent"
    axes = ("row", "column")
    moves = (Coordinate.MAGNIFICATION,)

    def __init__(self, imaging: Imaging, prior_percent: float) -> None:
        super().__init__(4, shared_columns(imaging.geometry.tilts, 4), GaussianPrior.independent(4))
        self.start = imaging.geometry.magnification
        self.scale = prior_percent / 100

    def deform(self, imaging: Imaging, raw: Float[Tensor, " parameter"]) -> Imaging:
        """Add the errors to the starting matrix."""
        return imaging.with_geometry(magnification=self.start + raw.unflatten(0, (2, 2)) * self.scale)

    def in_units(self, raw: Float[Tensor, " parameter"]) -> Float[Tensor, "2 2"]:
        """Deviations from the start in per cent."""
        return raw.unflatten(0, (2, 2)) * (100 * self.scale)
