"""Radial filters of cubic maps: low-pass, shell curves, sharpening."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mlit.fourier.shells import cube_edge, frequency_radius, shell_frequencies, shell_mean, spectral_power
from mlit.maps.fsc import resolution_angstrom as resolution_of_curve

AXES = (-3, -2, -1)


@dataclass(frozen=True)
class GuinierFit:
    """Logarithm of a map's signal amplitude against squared frequency, and a line through part of it.

    Attributes
    ----------
    frequency_squared
        (1/Å)² of every shell.
    log_amplitude
        Natural logarithm of the root-mean-square amplitude, weighted by √(2 FSC / (1 + FSC)); −inf where the
        FSC is not positive.
    fitted
        Shells that the line was fitted to.
    bfactor_angstrom2
        Decay B of exp(−B s² / 4), positive for a map that fades (Å²); None where fewer than four shells could
        be fitted. `sharpen` undoes it.
    intercept
        Logarithm of the amplitude at frequency zero on the line; None together with the B factor.
    """

    frequency_squared: Float[Tensor, "shell"]
    log_amplitude: Float[Tensor, "shell"]
    fitted: Bool[Tensor, "shell"]
    bfactor_angstrom2: float | None
    intercept: float | None


def cosine_step(frequency: Float[Tensor, "*grid"], centre: float, width: float) -> Float[Tensor, "*grid"]:
    """One below `centre` − `width` / 2, zero above `centre` + `width` / 2, half a cosine between."""
    phase = ((frequency - centre) / max(width, 1e-12) + 0.5).clamp(0, 1)
    return 0.5 + 0.5 * torch.cos(math.pi * phase)


def multiply_spectrum(volume: Float[Tensor, "*batch z y x"], factor: Float[Tensor, "z y half"]) -> Tensor:
    """Multiply the transform of maps by a real factor in the rfftn layout."""
    n = cube_edge(volume)
    return torch.fft.irfftn(torch.fft.rfftn(volume, dim=AXES) * factor.to(volume), s=(n, n, n), dim=AXES)


def _frequency(volume: Float[Tensor, "*batch z y x"], pixel_size_angstrom: float) -> Float[Tensor, "z y half"]:
    n = cube_edge(volume)
    return frequency_radius(n, 3, volume.device) / (n * pixel_size_angstrom)


def low_pass(
    volume: Float[Tensor, "*batch z y x"],
    pixel_size_angstrom: float,
    resolution_angstrom: float,
    edge_fraction: float = 0.1,
) -> Float[Tensor, "*batch z y x"]:
    """Remove frequencies beyond 1 / `resolution_angstrom`, with a cosine edge centred there.

    The edge is `edge_fraction` of the cut-off frequency wide. A limit finer than Nyquist changes nothing but
    the corners of the Fourier cube.
    """
    cutoff = 1 / resolution_angstrom
    frequency = _frequency(volume, pixel_size_angstrom)
    return multiply_spectrum(volume, cosine_step(frequency, cutoff, edge_fraction * cutoff))


def filter_by_shells(
    volume: Float[Tensor, "*batch z y x"], curve: Float[Tensor, "shell"]
) -> Float[Tensor, "*batch z y x"]:
    """Multiply the transform by a curve over shells 0 to n // 2, linearly interpolated between shells.

    The corners beyond Nyquist take the last value of the curve, so that a curve of ones changes nothing.
    """
    return multiply_spectrum(volume, curve_on_grid(curve.to(volume), cube_edge(volume)))


def curve_on_grid(curve: Float[Tensor, "shell"], n: int) -> Float[Tensor, "z y half"]:
    """Values of a curve over shells 0 to n // 2 at all frequencies of a map, as `filter_by_shells` takes them."""
    if curve.shape != (n // 2 + 1,):
        raise ValueError(f"a map of {n} pixels needs a curve of {n // 2 + 1} shells, not {tuple(curve.shape)}")
    radius = frequency_radius(n, 3, curve.device).clamp(max=n // 2)
    lower = radius.floor().clamp(max=n // 2 - 1)
    index = lower.long()
    return torch.lerp(curve[index], curve[index + 1], radius - lower)


def guinier_fit(
    volume: Float[Tensor, "z y x"],
    fsc: Float[Tensor, "shell"],
    pixel_size_angstrom: float,
    low_angstrom: float = 10.0,
    high_angstrom: float | None = None,
) -> GuinierFit:
    """Estimate the B factor of a map by a straight line in the Guinier plot.

    Parameters
    ----------
    volume
        Unfiltered average of the two half maps, masked.
    fsc
        Curve between the half maps; weights amplitudes by √(2 FSC / (1 + FSC)), the correlation with the true
        map (Rosenthal & Henderson 2003), so that noise does not flatten the decay.
    pixel_size_angstrom
        Of the map.
    low_angstrom, high_angstrom
        Range of the fit. Below about 10 Å the shape of the molecule rules, not its B factor. It ends, if not
        told otherwise, at the resolution of the map (FSC 0.143): beyond it the weights are noise.
    """
    n = cube_edge(volume)
    frequency = shell_frequencies(n, pixel_size_angstrom)
    power = shell_mean(spectral_power(torch.fft.rfftn(volume)), n).cpu().double()
    signal = fsc.cpu().double().clamp(0, 1)
    log_amplitude = 0.5 * torch.log(power * 2 * signal / (1 + signal))
    highest = 1 / (resolution_of_curve(fsc, frequency) if high_angstrom is None else high_angstrom)
    fitted = (frequency >= 1 / low_angstrom) & (frequency <= highest) & torch.isfinite(log_amplitude)
    squared = frequency.square()
    if int(fitted.sum()) < 4:
        return GuinierFit(squared, log_amplitude, torch.zeros_like(fitted), None, None)
    x, y = squared[fitted], log_amplitude[fitted]
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    intercept = y.mean() - slope * x.mean()
    return GuinierFit(squared, log_amplitude, fitted, -4 * float(slope), float(intercept))


def sharpen(
    volume: Float[Tensor, "*batch z y x"],
    pixel_size_angstrom: float,
    bfactor_angstrom2: float,
    resolution_angstrom: float,
) -> Float[Tensor, "*batch z y x"]:
    """Undo a decay exp(−B s² / 4) up to the resolution, and remove what lies beyond it (cosine edge).

    A negative B factor blurs.
    """
    frequency = _frequency(volume, pixel_size_angstrom)
    cutoff = 1 / resolution_angstrom
    gain = torch.exp(bfactor_angstrom2 / 4 * frequency.clamp(max=1.1 * cutoff).square())
    return multiply_spectrum(volume, gain * cosine_step(frequency, cutoff, 0.1 * cutoff))
