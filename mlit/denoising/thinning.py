"""Cut the noise of a half map in two: one part to learn from, the other to judge by.

With n noise of a map and e drawn anew with the same spectrum, n + τ e and n − e / τ are independent of each other
(Oliveira, Lei & Tibshirani 2021). So a map gives two, of the same signal and with independent noise, as if its
particles had been dealt out to two maps. What a network remembers of the noise in one is of no use to predict
the other.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.fourier.shells import cube_edge, shell_mean, spectral_power
from mlit.geometry.map_symmetry import Symmetry
from mlit.maps.filters import curve_on_grid, multiply_spectrum
from mlit.maps.helical import wind
from mlit.maps.rigid_motion import RigidMotion, move_map

AXES = (-3, -2, -1)
SHARE_TO_JUDGE = 0.25  # of the particles, as it were


@dataclass(frozen=True)
class ThinnedHalves:
    """Half maps with part of their particles, as it were.

    Attributes
    ----------
    learn
        Half maps to learn from.
    judge
        The same signal with noise that is independent of theirs, and stronger.
    """

    learn: Float[Tensor, "side z y x"]
    judge: Float[Tensor, "side z y x"]


def thin(
    halves: Float[Tensor, "side z y x"], symmetry: Symmetry, pixel_size_angstrom: float, seed: int
) -> ThinnedHalves:
    """Thin both half maps; the noise added is the same for a seed, up to its spectrum.

    Parameters
    ----------
    halves
        Half maps, not masked. The spectrum of their noise is that of their difference.
    symmetry
        Of the maps.
    pixel_size_angstrom
        Of the maps.
    seed
        Of the noise. Maps of one run take the same seed all along: what a network has learnt from one iteration's
        maps stays independent of what those of the next are judged by.
    """
    n = cube_edge(halves)
    ratio = (SHARE_TO_JUDGE / (1 - SHARE_TO_JUDGE)) ** 0.5
    wanted = shell_mean(spectral_power(torch.fft.rfftn(halves[0] - halves[1])), n) / 2
    generator = torch.Generator().manual_seed(seed)
    noises = [_noise(n, symmetry, pixel_size_angstrom, generator).to(halves) for _ in halves]
    added = torch.stack([_with_power(noise, wanted) for noise in noises])
    return ThinnedHalves(halves + ratio * added, halves - added / ratio)


def _noise(
    n: int, symmetry: Symmetry, pixel_size_angstrom: float, generator: torch.Generator
) -> Float[Tensor, "z y x"]:
    """Noise of a symmetry."""
    noise = torch.randn((n, n, n), generator=generator)
    if len(symmetry.point_group) > 1:
        centre = torch.zeros(3, dtype=torch.float64)
        turned = [move_map(noise, RigidMotion(rotation, centre), 1.0) for rotation in symmetry.point_group]
        noise = torch.stack(turned).mean(0)
    return noise if symmetry.helix is None else wind(noise, symmetry.helix, pixel_size_angstrom)


def _with_power(noise: Float[Tensor, "z y x"], wanted: Float[Tensor, " shell"]) -> Float[Tensor, "z y x"]:
    """Noise with a given mean power in each shell."""
    n = cube_edge(noise)
    present = shell_mean(spectral_power(torch.fft.rfftn(noise)), n).clamp(min=1e-30)
    return multiply_spectrum(noise, curve_on_grid((wanted / present).sqrt(), n))
