"""Differences between images in the strength of their signal."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mlit.geometry.tilt_grid import evaluate_tilt_grid
from mlit.simulation.config_images import QualityConfig


@dataclass(frozen=True)
class Quality:
    """Strength of the signal in one series.

    Attributes
    ----------
    series_amplitude, series_bfactor_angstrom2
        Of the whole series; negative B factors are decay.
    tilt_amplitude, tilt_bfactor_angstrom2
        Of each tilt besides.
    anisotropy_angstrom2
        How the B factor of each tilt varies with direction: (d cos 2θ, d sin 2θ), with θ that of the weakest decay.
    places
        Amplitude and B factor at the nodes of a natural-spline grid over the images; they act on molecules alone.
    """

    series_amplitude: float
    series_bfactor_angstrom2: float
    tilt_amplitude: np.ndarray
    tilt_bfactor_angstrom2: np.ndarray
    anisotropy_angstrom2: np.ndarray
    places: np.ndarray

    def of_tilt(self, tilt: int) -> tuple[float, float, tuple[float, float]]:
        """Amplitude, B factor and its anisotropy of the signal in one tilt."""
        x, y = self.anisotropy_angstrom2[tilt].tolist()
        return (
            float(self.series_amplitude * self.tilt_amplitude[tilt]),
            float(self.series_bfactor_angstrom2 + self.tilt_bfactor_angstrom2[tilt]),
            (x, y),
        )

    def at_places(self, fraction: Float[Tensor, "particle 2"]) -> Float[Tensor, "particle 2"]:
        """Amplitude and B factor of molecules at places in the image, given as fractions of its sides."""
        nodes = torch.as_tensor(self.places)[None]
        return evaluate_tilt_grid(nodes, fraction[:, None].to(nodes)).squeeze(1)

    def as_mapping(self) -> dict[str, object]:
        """Plain values, for files."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(self).items()}


def draw_quality(config: QualityConfig, tilts: int, rng: np.random.Generator, common: np.random.Generator) -> Quality:
    """Draw the strength of the signal in one series; what all series have in common from a generator of its own."""
    x, y = config.place_grid
    return Quality(
        float(np.exp(config.series_amplitude * rng.normal())),
        float(-config.series_bfactor_angstrom2 * rng.uniform()),
        np.exp(config.tilt_amplitude * rng.normal(size=tilts)),
        -config.tilt_bfactor_angstrom2 * rng.uniform(size=tilts),
        config.tilt_anisotropy_angstrom2 * rng.normal(size=(tilts, 2)),
        np.stack(
            [
                np.exp(config.place_amplitude * common.normal(size=(y, x))),
                -config.place_bfactor_angstrom2 * common.uniform(size=(y, x)),
            ],
            -1,
        ),
    )
