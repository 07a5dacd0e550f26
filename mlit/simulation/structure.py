"""A molecule as weighted points, each spread by a Gaussian."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Structure:
    """Points whose blurred sum is the molecule's potential above that of ice.

    A molecule is a sum of components, ``V(x) = Σ_c Σ_a weight[c, a] · gaussian_c(x − position[a])``; in
    Fourier space the Gaussian of component c is ``exp(−B_c k²/4)``. Atomic models have two components (the
    sharp atoms and the smooth ice that they displace, with negative weight), generated ones have one.

    Attributes
    ----------
    position_angstrom
        Points around the particle centre, float64.
    potential_volt_angstrom3
        Integrated potential of every point in every component, float64.
    b_factor_angstrom2
        Gaussian width of each component as a B factor, float64.
    symmetry
        Point group that the points obey.
    """

    position_angstrom: Float[Tensor, "atom 3"]
    potential_volt_angstrom3: Float[Tensor, "component atom"]
    b_factor_angstrom2: Float[Tensor, " component"]
    symmetry: str = "C1"

    @property
    def atoms(self) -> int:
        """Number of points."""
        return int(self.position_angstrom.shape[0])

    @property
    def diameter_angstrom(self) -> float:
        """Twice the largest distance of a point from the centre."""
        return 2 * float(self.position_angstrom.norm(dim=-1).max())

    def envelope(self, frequency_squared: Float[Tensor, "..."]) -> Float[Tensor, "component ..."]:
        """Gaussian fall-off of each component at squared frequency (1/Å²)."""
        b_factor = self.b_factor_angstrom2.to(frequency_squared.dtype)
        return torch.exp(-b_factor.reshape(-1, *[1] * frequency_squared.ndim) / 4 * frequency_squared)

    def save(self, path: Path) -> None:
        """Write all fields as an ``.npz``; the bytes depend on nothing but the fields."""
        with path.open("wb") as file:
            np.savez(
                file,
                xyz=self.position_angstrom.numpy(),
                potential=self.potential_volt_angstrom3.numpy(),
                b_factor=self.b_factor_angstrom2.numpy(),
                symmetry=np.array(self.symmetry),
            )


def gaussian_b_factor(volume_angstrom3: float) -> float:
    """B factor of the Gaussian with the second moment of a ball of that volume: 8π²·R²/5."""
    radius = (3 * volume_angstrom3 / (4 * np.pi)) ** (1 / 3)
    return 8 * np.pi**2 * radius**2 / 5
