"""Symmetry of a map: a point group about the centre of the box, a helix along z, or both."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.errors import InputError
from mlit.geometry.rotations import rotation_z
from mlit.geometry.symmetry import point_group

LARGEST_TWIST_DEG = 180.0


@dataclass(frozen=True)
class Helix:
    """Screw along z that takes every unit of a helix to the next one.

    Attributes
    ----------
    units
        Units in the middle of a box that are averaged, at least 2.
    twist_rad
        Turn from one unit to the next, from x towards y: above zero in a right-handed helix, as in RELION and M.
    rise_angstrom
        Way along z from one unit to the next.
    """

    units: int
    twist_rad: float
    rise_angstrom: float

    @property
    def height_angstrom(self) -> float:
        """Length of the helix that the averaged units take up."""
        return self.units * self.rise_angstrom

    def screws(self, first: int, last: int) -> tuple[Float[Tensor, "operator 3 3"], Float[Tensor, "operator 3"]]:
        """Rotations, and shifts in Å, from a unit to those from the first to the last, counted from it."""
        steps = torch.tensor(_from_middle(first, last), dtype=torch.float64)
        along = torch.tensor([0.0, 0.0, self.rise_angstrom], dtype=torch.float64)
        return rotation_z(steps * self.twist_rad), steps[:, None] * along


@dataclass(frozen=True)
class Symmetry:
    """Operators that a map is averaged over: rotation about the centre of the box, then shift.

    A helix goes on for ever, and its powers are no finite group: the operators are those that bring the units in the
    middle of the box to its centre.

    Attributes
    ----------
    point_group
        Rotations, float64, identity first.
    helix
        Screw along z; None for none.
    """

    point_group: Float[Tensor, "operator 3 3"]
    helix: Helix | None = None

    @classmethod
    def named(cls, name: str, helix: Helix | None = None) -> "Symmetry":
        """Symmetry of a named point group, and of a helix.

        Raises
        ------
        InputError
            If there is no such group, or it has no place for a helix.
        """
        if helix is not None and name.strip().upper()[:1] in ("T", "O", "I"):
            raise InputError(f"symmetry '{name}' has no helix along z: use Cn or Dn with helical_rise, or none")
        return cls(point_group(name), helix)

    def operators(self) -> tuple[Float[Tensor, "operator 3 3"], Float[Tensor, "operator 3"]]:
        """Rotations, and shifts in Å, identity first: the point group for each averaged unit."""
        if self.helix is None:
            return self.point_group, torch.zeros(len(self.point_group), 3, dtype=torch.float64)
        return self._products(-((self.helix.units - 1) // 2), self.helix.units // 2)

    def operators_within(
        self, reach_angstrom: float
    ) -> tuple[Float[Tensor, "operator 3 3"], Float[Tensor, "operator 3"]]:
        """Rotations, and shifts in Å, of all that leave the map unchanged and shift no farther than a reach."""
        if self.helix is None:
            return self.operators()
        steps = int(reach_angstrom / self.helix.rise_angstrom)
        return self._products(-steps, steps)

    def __len__(self) -> int:
        """Count the operators."""
        return len(self.point_group) * (1 if self.helix is None else self.helix.units)

    def free(self) -> tuple[Float[Tensor, "3 3"], Float[Tensor, "3 3"]]:
        """Projections of a rotation vector and of a shift on what commutes with all operators."""
        mean = self.point_group.mean(0)
        if self.helix is None:
            return mean, mean
        axial = torch.diag(torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)) @ mean
        return axial, (mean if self.helix.twist_rad == 0 else axial)

    def _products(self, first: int, last: int) -> tuple[Float[Tensor, "operator 3 3"], Float[Tensor, "operator 3"]]:
        """Screw first, then each rotation of the point group."""
        assert self.helix is not None
        rotations, shifts = self.helix.screws(first, last)
        turned = torch.einsum("pij,hjk->hpik", self.point_group, rotations).flatten(0, 1)
        return turned, torch.einsum("pij,hj->hpi", self.point_group, shifts).flatten(0, 1)


NO_SYMMETRY = Symmetry.named("C1")


def make_symmetry(
    name: str,
    helical_units: int,
    helical_twist_deg: float,
    helical_rise_angstrom: float,
    diameter_angstrom: float = math.inf,
) -> Symmetry:
    """Symmetry from what a person says, in M's words: one unit means no helix.

    The units must fit into the diameter, half of the box of a map: then the operators read nothing from beyond its
    ends.

    Raises
    ------
    InputError
        Naming the key.
    """
    units, twist, rise = helical_units, helical_twist_deg, helical_rise_angstrom
    if units == 1:
        if twist != 0 or rise != 0:
            raise InputError("helical_units=1: give how many units in the middle of a segment are averaged, 2 or more")
        return Symmetry.named(name)
    if units < 1:
        raise InputError(f"helical_units={units}: must be at least 1, which means no helix")
    if not abs(twist) <= LARGEST_TWIST_DEG:
        raise InputError(f"helical_twist={twist:g}: must lie between -180 and 180 degrees")
    if not 0 < rise < math.inf:
        raise InputError(f"helical_rise={rise:g}: must be above zero, in Å; the sign of helical_twist gives the hand")
    if units * rise > diameter_angstrom:
        fitting = int(diameter_angstrom / rise)
        remedy = f"give at most {fitting}" if fitting > 1 else "give a diameter of several rises"
        raise InputError(
            f"helical_units={units}: so many units of {rise:g} Å are longer than the diameter of "
            f"{diameter_angstrom:g} Å; {remedy}"
        )
    return Symmetry.named(name, Helix(units, math.radians(twist), rise))


def _from_middle(first: int, last: int) -> list[int]:
    """Whole numbers from the first to the last, 0 first."""
    return sorted(range(first, last + 1), key=lambda step: (abs(step), -step))
