"""Frequency bands of equal relative width, which together make up a map again, on grids as coarse as they bear.

Band `i` has the weight cos²(π/2 · ln(k / kᵢ) / ln r) between its neighbours' centres k, a factor r apart. All weights
together are one, so that a map can be taken apart, weighed from place to place and put together again. The
highest band is centred at the Nyquist frequency and ends there.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mlit.fourier.resize import resize_spectrum
from mlit.fourier.shells import frequency_radius, friedel_weights
from mlit.likelihood.tilt_images import even_fast_size

SPACING = 1.2  # r: neighbouring centres
SAMPLES_PER_WAVE = 3.0  # products of two bands reach twice the frequency; their mean must stay clear of aliases


@dataclass(frozen=True)
class Band:
    """One band of a map of a given side.

    Attributes
    ----------
    low, centre, high
        Frequencies (1/Å): where its weight rises from zero, is one, and has fallen to zero again. The lowest band
        has `low` = 0 and the weight one below its centre.
    length_angstrom
        Side of the map.
    size
        Side of its grid in points.
    """

    low: float
    centre: float
    high: float
    length_angstrom: float
    size: int

    @property
    def spacing_angstrom(self) -> float:
        """Distance of neighbouring grid points."""
        return self.length_angstrom / self.size

    def weight(self) -> Float[Tensor, "z y half"]:
        """Weight of every coefficient on the grid of the band."""
        frequency = frequency_radius(self.size, 3) / self.length_angstrom
        steps = (frequency / self.centre).clamp(min=1e-6).log() / math.log(SPACING)
        shape = (steps.clamp(-1, 1) * (math.pi / 2)).cos().square()
        shape = torch.where(frequency <= self.high * 1.0001, shape, 0.0)
        return torch.where(frequency < self.centre, 1.0, shape) if self.low == 0 else shape

    def statistics(self, sigma_angstrom: float) -> tuple[float, float]:
        """Mean frequency (1/Å), and number of independent values in each Å³ of noise under a Gaussian window.

        With C the autocorrelation of noise in the band and v a window, the mean of products has
        (Σ v)² C(0)² / (Σ v² Σ C(d)² g(d)) independent terms, where g = exp(−d² / 4σ²) is the overlap of two windows d
        apart.
        """
        power = self.weight().square()
        counted = power * friedel_weights(self.size)
        frequency = float((counted * frequency_radius(self.size, 3)).sum() / counted.sum()) / self.length_angstrom
        correlation = torch.fft.irfftn(power.to(torch.complex64), s=(self.size,) * 3)
        along = torch.fft.fftfreq(self.size) * self.length_angstrom
        overlap = torch.exp(-along.square() / (4 * sigma_angstrom**2))
        shared = float(correlation.square() @ overlap @ overlap @ overlap)
        return frequency, float(correlation[0, 0, 0]) ** 2 / shared / self.spacing_angstrom**3

    def part(
        self, spectrum: Complex[Tensor, "*batch z y half"], size: int
    ) -> Float[Tensor, "*batch new_z new_y new_x"]:
        """Parts of maps in this band, from their transforms; `size` is the side of the maps in pixels."""
        cut = resize_spectrum(spectrum, size, self.size, 3) * self.weight()
        return torch.fft.irfftn(cut, s=(self.size,) * 3, dim=(-3, -2, -1)) * (self.size / size) ** 3

    def back(self, values: Float[Tensor, "new_z new_y new_x"], size: int) -> Complex[Tensor, "z y half"]:
        """Transform of a map of `size` pixels that holds these values at the grid points."""
        return resize_spectrum(torch.fft.rfftn(values), self.size, size, 3) * (size / self.size) ** 3


def bands(size: int, pixel_size_angstrom: float, coarsest_angstrom: float) -> tuple[Band, ...]:
    """Bands of a map from all that is coarser than a wavelength up to the Nyquist frequency."""
    length = size * pixel_size_angstrom
    nyquist = 0.5 / pixel_size_angstrom
    count = max(2, math.floor(math.log(nyquist * coarsest_angstrom) / math.log(SPACING)))
    made = []
    for i in range(count + 1):
        centre = nyquist / SPACING ** (count - i)
        high = min(centre * SPACING, nyquist)
        grid = min(size, even_fast_size(max(SAMPLES_PER_WAVE * high * length, 16)))
        made.append(Band(centre / SPACING if i else 0.0, centre, high, length, grid))
    return tuple(made)
