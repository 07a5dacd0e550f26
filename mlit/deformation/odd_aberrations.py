"""Odd aberrations of the series: coma, trefoil and higher ones."""

from typing import ClassVar

from mlit.deformation.aberrations import Aberrations
from mlit.deformation.local_coordinates import Coordinate


class OddAberrations(Aberrations):
    """Phases that are odd functions of frequency; see :class:`mlit.deformation.aberrations.Aberrations`.

    Order 1 is a shift of all images alike. Order 3 holds coma (what beam tilt makes) and threefold astigmatism.
    """

    name = "odd_aberrations"
    field = "zernike_odd_rad"
    groups: ClassVar[dict[int, Coordinate]] = {1: Coordinate.ODD_1, 3: Coordinate.ODD_3, 5: Coordinate.ODD_5}
