"""Electrons on the camera: what the ice lets through, what blocks the beam, and counting."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mlit.simulation.config import SimulationConfig

_REMAINING_BEAM = 0.03
_EDGE_FRACTION = 0.02


@dataclass(frozen=True)
class BadTilt:
    """A spoilt tilt.

    Attributes
    ----------
    tilt
        Index in file order.
    kind
        ``dark`` (the beam nearly off) or ``blocked`` (a bar covers half of the field).
    direction_rad
        Where the bar comes from.
    """

    tilt: int
    kind: str
    direction_rad: float


def draw_bad_tilts(count: int, tilts: int, rng: np.random.Generator) -> tuple[BadTilt, ...]:
    """Choose spoilt tilts, alternately blocked and dark, in file order."""
    chosen = np.sort(rng.choice(tilts, size=min(count, tilts - 1), replace=False))
    kinds = ("blocked", "dark")
    return tuple(
        BadTilt(int(tilt), kinds[number % 2], float(rng.uniform(0, 2 * np.pi))) for number, tilt in enumerate(chosen)
    )


def electrons_per_pixel(config: SimulationConfig, tilt_cosine: float) -> float:
    """Mean count of a pixel: dose · area · exp(−thickness / (mean free path · cos tilt))."""
    microscope = config.microscope
    path = config.sample.thickness_angstrom / max(abs(tilt_cosine), 1e-3)
    transmission = np.exp(-path / microscope.mean_free_path_angstrom)
    return float(config.tilts.dose_per_tilt * microscope.pixel_size_angstrom**2 * transmission)


def beam_profile(defect: BadTilt | None, height: int, width: int) -> Float[Tensor, "y x"]:
    """Share of the beam that reaches each pixel: one, or what a defect leaves."""
    if defect is None:
        return torch.ones(height, width)
    if defect.kind == "dark":
        return torch.full((height, width), _REMAINING_BEAM)
    y, x = torch.meshgrid(torch.linspace(-0.5, 0.5, height), torch.linspace(-0.5, 0.5, width), indexing="ij")
    along = x * np.cos(defect.direction_rad) + y * np.sin(defect.direction_rad)
    return _REMAINING_BEAM + (1 - _REMAINING_BEAM) * torch.sigmoid(along / _EDGE_FRACTION)


def count_electrons(expected: Float[Tensor, "y x"], seed: int) -> Float[Tensor, "y x"]:
    """Poisson counts of the expected ones, the same for the same seed."""
    return torch.poisson(expected.clamp_min(0), generator=torch.Generator().manual_seed(seed))
