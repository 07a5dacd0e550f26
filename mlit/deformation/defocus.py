"""Defocus of each tilt."""

import dataclasses

from jaxtyping import Float
from torch import Tensor

from mlit.deformation.block import Block, per_tilt_columns
from mlit.deformation.prior import GaussianPrior
from mlit.geometry.series_geometry import SeriesGeometry


class Defocus(Block):
    """Error of the defocus of each tilt.

    The prior is anchored to the defocus at the start of the run: re-centred on every round, defocus walks
    away while the half-map FSC still rises.

    Parameters
    ----------
    geometry
        Starting geometry.
    prior_um
        Standard deviation of the error.
    """

    name = "defocus"

    def __init__(self, geometry: SeriesGeometry, prior_um: float) -> None:
        tilts = geometry.tilts
        super().__init__(tilts, per_tilt_columns(tilts, 1), GaussianPrior.independent(tilts))
        self.start = geometry.defocus_um
        self.scale_um = prior_um

    def deform(self, geometry: SeriesGeometry, raw: Float[Tensor, " parameter"]) -> SeriesGeometry:
        """Add the errors to the starting defocus."""
        return dataclasses.replace(geometry, defocus_um=self.start + raw * self.scale_um)

    def physical(self) -> Float[Tensor, " tilt"]:
        """Deviation from the start in µm."""
        return self.raw.detach() * self.scale_um
