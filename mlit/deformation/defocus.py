"""Defocus of each tilt."""

from jaxtyping import Float
from torch import Tensor

from mlit.deformation.block import Block, per_tilt_columns
from mlit.deformation.imaging import Imaging
from mlit.deformation.local_coordinates import Coordinate
from mlit.deformation.prior import GaussianPrior


class Defocus(Block):
    """Error of the defocus of each tilt.

    The prior is anchored to the defocus at the start of the run: re-centred on every round, defocus walks
    away while the half-map FSC still rises.

    Parameters
    ----------
    imaging
        Starting imaging.
    prior_um
        Standard deviation of the error.
    """

    name = "defocus"
    unit = "um"
    axes = ("tilt",)
    moves = (Coordinate.DEFOCUS,)

    def __init__(self, imaging: Imaging, prior_um: float) -> None:
        tilts = imaging.geometry.tilts
        super().__init__(tilts, per_tilt_columns(tilts, 1), GaussianPrior.independent(tilts))
        self.start = imaging.geometry.defocus_um
        self.scale_um = prior_um

    def deform(self, imaging: Imaging, raw: Float[Tensor, " parameter"]) -> Imaging:
        """Add the errors to the starting defocus."""
        return imaging.with_geometry(defocus_um=self.start + raw * self.scale_um)

    def in_units(self, raw: Float[Tensor, " parameter"]) -> Float[Tensor, " tilt"]:
        """Deviations from the start in µm."""
        return raw * self.scale_um
