"""Sizes of changes and errors as the images see them."""

import math
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from mlit.deformation.local_coordinates import View
from mlit.geometry.rotations import rotvec_from_matrix


@dataclass(frozen=True)
class Deviation:
    """Root mean square over images: of a change, of an error, or of an expected error.

    Attributes
    ----------
    position_angstrom
        Length of the shift in the image.
    rotation_deg
        Angle of the rotation.
    defocus_nm
        Defocus.
    """

    position_angstrom: float
    rotation_deg: float
    defocus_nm: float

    @classmethod
    def between(cls, before: View, after: View, seen: Bool[Tensor, "particle tilt"]) -> "Deviation":
        """Return how far the views of the particles that are seen have changed."""
        shift = (after.xy_angstrom - before.xy_angstrom)[seen].norm(dim=-1)
        turn = rotvec_from_matrix((after.rotation @ before.rotation.transpose(-1, -2))[seen]).norm(dim=-1)
        return cls._of(shift.square(), turn.square(), (after.defocus_um - before.defocus_um)[seen].square())

    @classmethod
    def expected(
        cls, covariance: Float[Tensor, "particle tilt coordinate coordinate"], seen: Bool[Tensor, "particle tilt"]
    ) -> "Deviation":
        """Return the errors to expect from the covariance of local coordinates."""
        variance = covariance[seen].diagonal(dim1=-2, dim2=-1)
        return cls._of(variance[:, :2].sum(-1), variance[:, 2:5].sum(-1), variance[:, 5])

    @classmethod
    def _of(cls, shift: Tensor, turn: Tensor, defocus: Tensor) -> "Deviation":
        def root(squares: Tensor) -> float:
            return math.sqrt(float(squares.mean())) if len(squares) else 0.0

        return cls(root(shift), math.degrees(root(turn)), 1e3 * root(defocus))

    def within(self, other: "Deviation", factor: float) -> bool:
        """Whether position and rotation are no larger than a factor times those of another one."""
        return (
            self.position_angstrom <= factor * other.position_angstrom
            and self.rotation_deg <= factor * other.rotation_deg
        )


NONE = Deviation(float("nan"), float("nan"), float("nan"))
