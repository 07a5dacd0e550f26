"""Resolution against the number of particles: how fast images lose signal towards detail, and what more data bring."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RosenthalHenderson:
    """A straight line 1/d² = intercept + slope · ln N through pairs of particle number N and resolution d.

    The noise that particles average away falls as 1/N and their signal with detail as exp(−B s² / 2), so that
    slope = 2 / B (Rosenthal & Henderson 2003).

    Attributes
    ----------
    intercept, slope
        Of the line (1/Å²).
    intercept_error, slope_error
        Standard errors; infinite where two pairs leave no residual to judge by.
    """

    intercept: float
    slope: float
    intercept_error: float
    slope_error: float

    @property
    def decay_angstrom2(self) -> float:
        """B of the decay exp(−B s² / 4) of the amplitude with everything that blurs particles in it (Å²)."""
        return 2 / self.slope if self.slope > 0 else math.inf

    @property
    def decay_error_angstrom2(self) -> float:
        """Its standard error."""
        return 2 * self.slope_error / self.slope**2 if self.slope > 0 else math.inf

    def resolution_angstrom(self, particles: float) -> float:
        """Resolution that the line expects of so many particles; infinite where there is none."""
        squared = self.intercept + self.slope * math.log(particles)
        return 1 / math.sqrt(squared) if squared > 0 else math.inf

    def particles_for(self, resolution_angstrom: float) -> float:
        """Particles that the line asks for."""
        if self.slope <= 0:
            return math.inf
        return math.exp(min((resolution_angstrom**-2 - self.intercept) / self.slope, 700.0))


def rosenthal_henderson(particles: Sequence[float], resolution_angstrom: Sequence[float]) -> RosenthalHenderson:
    """Fit the line to subsets of particles of different size; the error is in the resolutions.

    Parameters
    ----------
    particles
        Particles in each subset, two different numbers at least.
    resolution_angstrom
        Resolution of each subset.
    """
    x = np.log(np.asarray(particles, dtype=np.float64))
    y = np.asarray(resolution_angstrom, dtype=np.float64) ** -2
    spread = float(((x - x.mean()) ** 2).sum())
    if spread == 0:
        raise ValueError("two different numbers of particles are needed")
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread
    intercept = float(y.mean() - slope * x.mean())
    freedom = len(x) - 2
    if freedom == 0:
        return RosenthalHenderson(intercept, slope, math.inf, math.inf)
    variance = float(((y - intercept - slope * x) ** 2).sum()) / freedom
    intercept_error = math.sqrt(variance * (1 / len(x) + float(x.mean()) ** 2 / spread))
    return RosenthalHenderson(intercept, slope, intercept_error, math.sqrt(variance / spread))
