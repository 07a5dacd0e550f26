"""Phases of the series that are powers of frequency: what even and odd aberrations have in common."""

import math
from collections.abc import Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from mlit.deformation.block import Block, shared_columns
from mlit.deformation.imaging import Imaging
from mlit.deformation.local_coordinates import Coordinate
from mlit.deformation.prior import GaussianPrior
from mlit.errors import InputError
from mlit.optics.zernike import zernike_from_powers, zernike_indices


class Aberrations(Block):
    """Errors of a phase that all images of the series share, ``k^n cos mθ`` and ``k^n sin mθ`` with m > 0.

    Files hold coefficients of Zernike polynomials. They make bad parameters: at the frequencies of images,
    polynomials of the same m are nearly the same function, so their coefficients are huge and cancel each other.
    The powers of k are parameters that each mean something: a phase at a resolution. Round terms (m = 0) are left
    out: k² is defocus and k⁴ spherical aberration, which have blocks of their own.

    Parameters
    ----------
    imaging
        Starting imaging.
    orders
        Orders n to refine.
    prior_deg
        Standard deviation of the phase of each term.
    prior_resolution_angstrom
        Detail at whose frequency it holds; elsewhere the phase follows the power of k.

    Raises
    ------
    InputError
        If there is no such order.

    Attributes
    ----------
    field
        Field of the optics.
    groups
        Local coordinates of each order that there is.
    terms
        Pairs (n, m) of the parameters: cos mθ, or sin |m|θ for m < 0.
    """

    unit = "deg"
    axes = ("term",)
    field: ClassVar[str]
    groups: ClassVar[dict[int, Coordinate]]

    def __init__(
        self, imaging: Imaging, orders: Sequence[int], prior_deg: float, prior_resolution_angstrom: float
    ) -> None:
        known = tuple(self.groups)
        if not orders or not set(orders) <= set(known):
            raise InputError(
                f"model.{self.name}.orders={list(orders)}: give some of {', '.join(str(n) for n in known)}"
            )
        self.terms = [(n, m) for n, m in zernike_indices(known) if n in orders and m != 0]
        count = len(self.terms)
        super().__init__(count, shared_columns(imaging.geometry.tilts, count), GaussianPrior.independent(count))
        self.moves = tuple(group for n, group in self.groups.items() if n in orders)
        self.start = getattr(imaging.optics, self.field)
        self.scale_rad = math.radians(prior_deg)
        lengths = self.start.new_tensor([prior_resolution_angstrom**n for n, _ in self.terms])
        self.basis = zernike_from_powers(self.terms, zernike_indices(known)).to(lengths) * lengths

    def deform(self, imaging: Imaging, raw: Float[Tensor, " parameter"]) -> Imaging:
        """Add the phases to the starting coefficients."""
        return imaging.with_optics(**{self.field: self.start + self.basis @ raw * self.scale_rad})

    def in_units(self, raw: Float[Tensor, " parameter"]) -> Float[Tensor, " term"]:
        """Deviations from the start in degrees, at the resolution of the prior."""
        return raw * math.degrees(self.scale_rad)
