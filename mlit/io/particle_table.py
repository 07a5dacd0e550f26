"""Particles of a project: where they are and how they are turned."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class ParticleTable:
    """Poses of all particles in the order of the file that they came from.

    A pose has K samples in time, equally spaced over the accumulated dose (K = 1: one for all tilts).

    Attributes
    ----------
    series_name : ndarray of str, "particle"
        Series, without folder and extension.
    position_angstrom : ndarray of float64, "particle sample 3"
        x, y, z from the corner of the volume.
    euler_deg : ndarray of float64, "particle sample 3"
        rot, tilt, psi; E = Rz(−psi)·Ry(−tilt)·Rz(−rot) takes the reference to the sample.
    half_set : ndarray of int64, "particle"
        1 or 2.
    weight : ndarray of float64, "particle"
        0 takes a particle out of everything, 1 is usual.
    source : DataFrame
        Every column of the file as text.
    """

    series_name: np.ndarray
    position_angstrom: np.ndarray
    euler_deg: np.ndarray
    half_set: np.ndarray
    weight: np.ndarray
    source: pd.DataFrame = field(repr=False, default_factory=pd.DataFrame)

    def __post_init__(self) -> None:
        count = len(self.series_name)
        if self.position_angstrom.shape != self.euler_deg.shape or self.position_angstrom.shape[::2] != (
            count,
            3,
        ):
            raise ValueError(
                f"positions {self.position_angstrom.shape} and angles {self.euler_deg.shape} "
                f"do not fit {count} particles"
            )
        if len(self.half_set) != count or len(self.weight) != count:
            raise ValueError(f"half sets or weights do not fit {count} particles")
        if self.source.shape[1] and len(self.source) != count:
            raise ValueError(f"source table has {len(self.source)} rows for {count} particles")

    @property
    def particles(self) -> int:
        """Number of particles."""
        return len(self.series_name)

    @property
    def samples(self) -> int:
        """Number of pose samples in time, K."""
        return self.position_angstrom.shape[1]
