"""Defocus of each tilt."""

import torch
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
    search_um
        How far from the present values a search may look, see :mod:`mlit.likelihood.defocus_search`; 0: no search.

    Attributes
    ----------
    jumped_um
        How far the search has moved the start of each tilt.
    """

    name = "defocus"
    unit = "um"
    axes = ("tilt",)
    moves = (Coordinate.DEFOCUS,)

    def __init__(self, imaging: Imaging, prior_um: float, search_um: float = 0.0) -> None:
        tilts = imaging.geometry.tilts
        super().__init__(tilts, per_tilt_columns(tilts, 1), GaussianPrior.independent(tilts))
        self.start = imaging.geometry.defocus_um
        self.scale_um, self.search_um = prior_um, search_um
        self.register_buffer("jumped_um", torch.zeros(tilts, dtype=torch.float64))

    def deform(self, imaging: Imaging, raw: Float[Tensor, " parameter"]) -> Imaging:
        """Add the errors to the starting defocus."""
        return imaging.with_geometry(defocus_um=self.start + self.get_buffer("jumped_um") + raw * self.scale_um)

    def in_units(self, raw: Float[Tensor, " parameter"]) -> Float[Tensor, " tilt"]:
        """Raw values, or their standard errors, in µm."""
        return raw * self.scale_um

    def physical(self) -> Float[Tensor, " tilt"]:
        """Present deviation from the starting metadata in µm."""
        return self.get_buffer("jumped_um") + super().physical()

    @torch.no_grad()
    def jump(self, offset_um: Float[Tensor, " tilt"]) -> None:
        """Move tilts by an offset from where they are, in place; the new place is the start that their prior knows.

        The prior of these tilts would otherwise pull them back to a start that has been found to be wrong. Tilts of
        offset 0 keep start and value.
        """
        moved, jumped = offset_um != 0, self.get_buffer("jumped_um")
        jumped[moved] = (self.physical() + offset_um)[moved]
        self.raw[moved] = 0.0
