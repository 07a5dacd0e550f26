"""Differences between images in the strength of their signal."""

from dataclasses import dataclass

import numpy as np

from mlit.simulation.config import QualityConfig


@dataclass(frozen=True)
class Quality:
    """Strength of the signal in one series.

    Attributes
    ----------
    series_amplitude, series_bfactor_angstrom2
        Of the whole series; negative B factors are decay.
    tilt_amplitude, tilt_bfactor_angstrom2
        Of each tilt besides.
    """

    series_amplitude: float
    series_bfactor_angstrom2: float
    tilt_amplitude: np.ndarray
    tilt_bfactor_angstrom2: np.ndarray

    def of_tilt(self, tilt: int) -> tuple[float, float]:
        """Amplitude and B factor of the signal in one tilt."""
        return (
            float(self.series_amplitude * self.tilt_amplitude[tilt]),
            float(self.series_bfactor_angstrom2 + self.tilt_bfactor_angstrom2[tilt]),
        )

    def as_mapping(self) -> dict[str, object]:
        """Plain values, for files."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(self).items()}


def draw_quality(config: QualityConfig, tilts: int, rng: np.random.Generator) -> Quality:
    """Draw the strength of the signal in one series."""
    return Quality(
        float(np.exp(config.series_amplitude * rng.normal())),
        float(-config.series_bfactor_angstrom2 * rng.uniform()),
        np.exp(config.tilt_amplitude * rng.normal(size=tilts)),
        -config.tilt_bfactor_angstrom2 * rng.uniform(size=tilts),
    )
