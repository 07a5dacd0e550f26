"""Even aberrations of the series that are neither defocus nor spherical aberration."""

from typing import ClassVar

from mlit.deformation.aberrations import Aberrations
from mlit.deformation.local_coordinates import Coordinate


class EvenAberrations(Aberrations):
    """Phases that are even functions of frequency; see :class:`mlit.deformation.aberrations.Aberrations`.

    Order 2 is an astigmatism that all tilts share. Order 4 holds twofold and fourfold terms.
    """

    name = "even_aberrations"
    field = "zernike_even_rad"
    groups: ClassVar[dict[int, Coordinate]] = {2: Coordinate.EVEN_2, 4: Coordinate.EVEN_4}
