"""Dose-symmetric tilt schemes."""

from dataclasses import dataclass

import numpy as np

from mlit.simulation.config_images import TiltSchemeConfig


@dataclass(frozen=True)
class TiltScheme:
    """Angles in file order (ascending) and the exposure received before each.

    Attributes
    ----------
    angle_deg
        Nominal tilt angles.
    dose
        Accumulated exposure before the tilt in e/Å²; the first tilt taken has 0.
    number
        Position of each tilt in the full scheme, which names its files.
    missing
        Positions of the tilts that were lost.
    """

    angle_deg: np.ndarray
    dose: np.ndarray
    number: np.ndarray
    missing: np.ndarray


def dose_symmetric_scheme(config: TiltSchemeConfig, series: int, rng: np.random.Generator) -> TiltScheme:
    """Tilts 0, +s, −s, +2s, … of the series with that number, less the missing ones.

    Missing tilts were exposed before they were lost, so the doses of the others keep counting them.
    """
    step = config.step_deg[series % len(config.step_deg)]
    steps = int(config.max_angle_deg[series % len(config.max_angle_deg)] / step + 1e-6)
    branch = np.arange(-steps, steps + 1)
    rank = np.where(branch > 0, 2 * branch - 1, -2 * branch)
    lost = rng.choice(np.flatnonzero(rank > 0), size=config.missing, replace=False)
    kept = np.setdiff1d(np.arange(len(branch)), lost)
    return TiltScheme((branch[kept] * step).round(6), rank[kept] * config.dose_per_tilt, kept, np.sort(lost))
