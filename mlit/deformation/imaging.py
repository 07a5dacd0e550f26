"""How a tilt series was recorded: all that parameter blocks can change."""

from dataclasses import dataclass, replace
from typing import Any

from mlit.geometry.series_geometry import SeriesGeometry
from mlit.optics.ctf import Optics


@dataclass(frozen=True, eq=False)
class Imaging:
    """Geometry and optics of a tilt series.

    Attributes
    ----------
    geometry
        Where particles appear, and how they are turned there.
    optics
        What the microscope makes of them.
    """

    geometry: SeriesGeometry
    optics: Optics

    def with_geometry(self, **fields: Any) -> "Imaging":
        """Return a copy with some fields of the geometry replaced."""
        return Imaging(replace(self.geometry, **fields), self.optics)

    def with_optics(self, **fields: Any) -> "Imaging":
        """Return a copy with some fields of the optics replaced."""
        return Imaging(self.geometry, replace(self.optics, **fields))
