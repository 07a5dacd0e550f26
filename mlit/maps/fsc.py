"""Fourier shell correlation between half maps, what a mask adds to it, and the weights that follow."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mlit.fourier.shells import cube_edge, shell_counts, shell_frequencies, shell_index, shell_sum, spectral_power
from mlit.parallel import run_pieces

LARGE = 320  # voxels along an edge; larger maps are worked on one after the other, which takes less memory
HIGHEST = 0.9  # correlation that counts where few coefficients are left, which can agree by chance


def maps_at_once(size: int) -> int | None:
    """Say how many maps with edges of ``size`` voxels to work on at the same time; None: as many as there are cores."""
    return None if size <= LARGE else 1


@dataclass(frozen=True)
class FscCurves:
    """Correlation curves of one pair of half maps, one value per shell 0 to n // 2.

    Attributes
    ----------
    frequency_per_angstrom
        1/Å (float64, always on the processor).
    unmasked
        Of the maps as they are.
    masked
        Of the maps times the mask.
    randomised
        As `masked`, phases beyond the first shell with `unmasked` < 0.8 made random: what the mask causes.
    corrected
        `masked` less what the mask causes.
    """

    frequency_per_angstrom: Float[Tensor, "shell"]
    unmasked: Float[Tensor, "shell"]
    masked: Float[Tensor, "shell"]
    randomised: Float[Tensor, "shell"]
    corrected: Float[Tensor, "shell"]

    @property
    def first_corrected_shell(self) -> int:
        """Shell from which on `corrected` differs from `masked`: two beyond the first that was randomised."""
        return _first_shell_below(self.unmasked, 0.8) + 2

    def resolution_angstrom(self, threshold: float = 0.143) -> float:
        """Resolution of the corrected curve; see the function of this name."""
        return resolution_angstrom(self.corrected, self.frequency_per_angstrom, threshold)


def _spectral_correlation(
    first: Complex[Tensor, "*batch z y half"], second: Complex[Tensor, "*batch z y half"], n: int
) -> Float[Tensor, "*batch shell"]:
    cross = shell_sum((first * second.conj()).real, n)
    power = shell_sum(spectral_power(first), n) * shell_sum(spectral_power(second), n)
    return torch.where(power > 0, cross / power.clamp(min=torch.finfo(power.dtype).tiny).sqrt(), 0.0)


def fourier_shell_correlation(
    first: Float[Tensor, "*batch z y x"], second: Float[Tensor, "*batch z y x"]
) -> Float[Tensor, "*batch shell"]:
    """Normalised cross-correlation of two cubic maps in every shell 0 to n // 2.

    Shells in which either map is empty get zero. Shell 0 holds one real number and is ±1 at best: ignore it.
    """
    axes = (-3, -2, -1)
    return _spectral_correlation(torch.fft.rfftn(first, dim=axes), torch.fft.rfftn(second, dim=axes), cube_edge(first))


def _first_shell_below(curve: Float[Tensor, "shell"], threshold: float) -> int:
    """First shell from 1 on with a value below the threshold; the number of shells where there is none."""
    below = torch.nonzero(curve[1:] < threshold)
    return int(below[0]) + 1 if len(below) else len(curve)


def _randomise_phases(
    spectrum: Complex[Tensor, "z y half"], first_shell: int, noise: Float[Tensor, "z y x"]
) -> Complex[Tensor, "z y half"]:
    """Keep amplitudes, take the phases of noise from `first_shell` on; still the transform of a real map."""
    phases = torch.fft.rfftn(noise)
    ratio = spectral_power(spectrum)
    ratio /= spectral_power(phases).clamp_(min=torch.finfo(noise.dtype).tiny)
    phases *= ratio.sqrt_()
    return torch.where(shell_index(noise.shape[0], 3, spectrum.device) >= first_shell, phases, spectrum)


def fsc_curves(
    half1: Float[Tensor, "z y x"],
    half2: Float[Tensor, "z y x"],
    mask: Float[Tensor, "z y x"],
    pixel_size_angstrom: float,
    seed: int = 0,
    draws: int = 1,
) -> FscCurves:
    """Correlate half maps with and without a mask, and correct for the correlation that the mask brings in.

    A mask convolves both transforms with the same kernel and so correlates even pure noise. Phases are made
    random, independently in both halves, from the first shell r whose unmasked correlation is below 0.8;
    whatever correlation the masked maps keep there is the mask's. From shell r + 2 on
    corrected = (masked − randomised) / (1 − randomised) (Chen et al. 2013, the rule of RELION and M); below
    it corrected = masked. The divisor is kept above 0.05: closer to zero, the mask explains everything. Where
    the unmasked curve never falls below 0.8 there is nothing to correct.

    Parameters
    ----------
    half1, half2
        Independent, unfiltered, cubic half maps.
    mask
        Values from 0 to 1.
    pixel_size_angstrom
        Of the maps.
    seed
        Of the random phases, drawn on the processor: results are the same on every device.
    draws
        How often phases are drawn. The curves are averaged: where the correlation lies near 0.143 over many shells,
        the scatter of a single draw moves the resolution.
    """
    n = cube_edge(half1)
    device = half1.device
    generator = torch.Generator().manual_seed(seed)
    halves = (half1, half2)
    spectra = dict(enumerate(run_pieces(torch.fft.rfftn, halves, device)))
    noises: dict[int, Tensor] = {}
    unmasked = _spectral_correlation(spectra[0], spectra[1], n)
    first = _first_shell_below(unmasked, 0.8)

    def inside_mask(half: Tensor) -> Tensor:
        return torch.fft.rfftn(half * mask)

    def random_inside_mask(piece: tuple[int, bool]) -> Tensor:
        half, is_last = piece
        spectrum = spectra.pop(half) if is_last else spectra[half]
        random = _randomise_phases(spectrum, first, noises.pop(half).to(device))
        return inside_mask(torch.fft.irfftn(random, s=(n, n, n)))

    first_inside, second_inside = run_pieces(inside_mask, halves, device)
    masked = _spectral_correlation(first_inside, second_inside, n)
    del first_inside, second_inside
    randomised = torch.zeros_like(masked)
    for draw in range(draws):
        noises |= {half: torch.randn((n, n, n), generator=generator) for half in (0, 1)}
        pieces = [(half, draw == draws - 1) for half in (0, 1)]
        pair = run_pieces(random_inside_mask, pieces, device, maps_at_once(n))
        randomised += _spectral_correlation(pair[0], pair[1], n) / draws
    corrected = without_mask(masked, randomised, first + 2)
    return FscCurves(shell_frequencies(n, pixel_size_angstrom), unmasked, masked, randomised, corrected)


def without_mask(
    masked: Float[Tensor, "*batch shell"], randomised: Float[Tensor, "shell"], first_shell: int
) -> Float[Tensor, "*batch shell"]:
    """Take the correlation that the mask brings in from curves of masked maps, from a shell on."""
    shell = torch.arange(masked.shape[-1], device=masked.device)
    corrected = (masked - randomised) / (1 - randomised).clamp(min=0.05)
    return torch.where(shell >= first_shell, corrected, masked).clamp(-1, 1)


def resolution_angstrom(
    curve: Float[Tensor, "shell"], frequency_per_angstrom: Float[Tensor, "shell"], threshold: float = 0.143
) -> float:
    """Resolution at which a curve first falls below a threshold, linear between shells, in Å.

    A curve that never falls below gives Nyquist (the last shell); one that is below already in shell 1 gives
    the wavelength of that shell, the box. Shell 0 is not looked at.

    This number is fragile: where all images share a defocus, the curve dips at the zeros of the CTF and
    recovers beyond. The first crossing then reports the dip, and a small change of the data moves it by
    several shells. Compare whole curves, or the mean over a range, to judge progress; never cut a reference
    at this number, but weigh it by `wiener_weights`.
    """
    first = _first_shell_below(curve, threshold)
    if first == len(curve):
        return 1 / float(frequency_per_angstrom[-1])
    if first == 1:
        return 1 / float(frequency_per_angstrom[1])
    above, below = float(curve[first - 1]), float(curve[first])
    low, high = float(frequency_per_angstrom[first - 1]), float(frequency_per_angstrom[first])
    return 1 / (low + (above - threshold) / (above - below) * (high - low))


@lru_cache(maxsize=8)
def _smoothing_matrix(shells: int, width_shells: float) -> Float[Tensor, "shell shell"]:
    """Local straight lines through a curve: row i gives the value at shell i from all shells (float64)."""
    index = torch.arange(shells, dtype=torch.float64)
    distance = index[None, :] - index[:, None]
    weight = torch.exp(-0.5 * (distance / width_shells).square()) * shell_counts(2 * (shells - 1)).double()
    weight[:, 0] = 0
    moment0, moment1, moment2 = ((weight * distance**power).sum(1, keepdim=True) for power in range(3))
    return weight * (moment2 - distance * moment1) / (moment0 * moment2 - moment1.square())


def smooth_fsc(curve: Float[Tensor, "shell"], width_shells: float = 2.0) -> Float[Tensor, "shell"]:
    """Smooth a correlation curve for use in a Wiener filter, without forcing it to fall.

    A straight line is fitted around every shell, weighted by a Gaussian of `width_shells` and by the number
    of coefficients in each shell (the inverse variance of a correlation near zero). A dip at a CTF zero
    becomes shallower, the rise beyond it stays. Shell 0 is not used and gets the line's value. Clamped to ±1.
    """
    matrix = _smoothing_matrix(len(curve), width_shells).to(curve)
    return (matrix @ curve).clamp(-1, 1)


def last_significant_shell(
    curve: Float[Tensor, "shell"],
    independent_fraction: float = 1.0,
    significance: float = 3.0,
    width_shells: float = 2.0,
) -> int:
    """Last shell that stands out from noise before a long run of shells that do not; 0 where none does.

    The smoothed curve is compared with `significance` times the standard deviation that it would have for
    independent noise: 1 / √(independent coefficients) per shell, through the smoothing. Dips at CTF zeros are
    bridged: the search ends after max(4, a tenth of the shell's number) shells without signal, so that lucky
    shells in a long tail of noise are not found. Shells with too few coefficients to be judged (a correlation
    of 0.5 would not be significant) do not count as being without signal; there, Fisher's transform (artanh) of the
    curve is judged in its place, since small symmetric molecules leave so few that no correlation would be enough.

    Parameters
    ----------
    curve
        Correlation by shell.
    independent_fraction
        Share of coefficients that are independent: the mean of the mask over the box, for masked maps.
    significance
        In standard deviations.
    width_shells
        Of the smoothing.
    """
    shells = len(curve)
    matrix = _smoothing_matrix(shells, width_shells)
    independent = shell_counts(2 * (shells - 1)).double() / 2 * independent_fraction
    deviation = (matrix.square() / independent.clamp(min=1)).sum(1).sqrt()
    telling = significance * deviation < 0.5
    curve = curve.cpu().double()
    evidence = torch.where(telling, matrix @ curve, matrix @ curve.clamp(-HIGHEST, HIGHEST).atanh())
    significant = (evidence > significance * deviation).tolist()
    last, misses = 0, 0
    for shell in range(1, shells):
        if significant[shell]:
            last, misses = shell, 0
        elif telling[shell]:
            misses += 1
        if misses > max(4, shell // 10):
            break
    return last


def wiener_weights(
    fsc: Float[Tensor, "shell"],
    kind: Literal["half", "full"] = "half",
    independent_fraction: float = 1.0,
    significance: float = 3.0,
    width_shells: float = 2.0,
) -> Float[Tensor, "shell"]:
    """Shell weights that turn a map into the posterior mean of its signal.

    The FSC is SNR / (1 + SNR) of a half map and is its Wiener filter; the full map has twice the SNR and the
    filter 2 FSC / (1 + FSC). The curve is smoothed first (`smooth_fsc`), clamped to 0…1, and set to zero
    beyond `last_significant_shell`; all weights are zero where no shell is significant. Apply with
    `filters.filter_by_shells`.

    Parameters
    ----------
    fsc
        Corrected curve of the half maps.
    kind
        Map that the weights are for.
    independent_fraction, significance, width_shells
        See `last_significant_shell`.
    """
    signal = smooth_fsc(fsc, width_shells).clamp(0, 1)
    last = last_significant_shell(fsc, independent_fraction, significance, width_shells)
    kept = torch.arange(len(fsc), device=fsc.device) <= (last if last > 0 else -1)
    weights = signal if kind == "half" else 2 * signal / (1 + signal)
    return torch.where(kept, weights, torch.zeros_like(weights))
