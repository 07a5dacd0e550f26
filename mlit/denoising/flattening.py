"""Maps with a flat spectrum: every shell of signal then counts alike to the network."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.fourier.shells import cube_edge, shell_mean, spectral_power
from mlit.maps.filters import curve_on_grid, multiply_spectrum
from mlit.maps.fsc import smooth_fsc

AXES = (-3, -2, -1)


@dataclass(frozen=True)
class Flattening:
    """A gain for each frequency, and its inverse.

    Attributes
    ----------
    amplitude
        What maps are divided by.
    """

    amplitude: Float[Tensor, "z y half"]

    @classmethod
    def of_signal(
        cls, average: Float[Tensor, "z y x"], fsc: Float[Tensor, " shell"], first: int, last: int
    ) -> "Flattening":
        """Divide by the amplitude of the signal, as the correlation of the half maps has it.

        Parameters
        ----------
        average
            Masked average of the half maps.
        fsc
            Their correlation, smooth and above zero.
        first, last
            Shells from which on, and up to which, the spectrum is made flat; the gain is constant outside.
        """
        n = cube_edge(average)
        power = shell_mean(spectral_power(torch.fft.rfftn(average)), n) * 2 * fsc / (1 + fsc)
        amplitude = _smooth_log(power.clamp(min=1e-30).sqrt())
        shells = torch.arange(n // 2 + 1, device=average.device).clamp(first, max(first, min(last, n // 2)))
        amplitude = amplitude[shells] / amplitude[shells].mean()
        return cls(curve_on_grid(amplitude, n))

    def flatten(self, volumes: Float[Tensor, "*batch z y x"]) -> Float[Tensor, "*batch z y x"]:
        """Make the spectrum flat."""
        return multiply_spectrum(volumes, 1 / self.amplitude)

    def restore(self, volumes: Float[Tensor, "*batch z y x"]) -> Float[Tensor, "*batch z y x"]:
        """Undo `flatten`."""
        return multiply_spectrum(volumes, self.amplitude)


def _smooth_log(amplitude: Float[Tensor, " shell"], width_shells: float = 1.5) -> Float[Tensor, " shell"]:
    """Smooth a curve that spans orders of magnitude."""
    logarithm = amplitude.log()
    scale = logarithm.abs().max().clamp(min=1e-12)
    return (smooth_fsc(logarithm / scale, width_shells) * scale).exp()
