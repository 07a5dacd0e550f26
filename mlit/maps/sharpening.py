"""The average of two half maps, filtered by their correlation and sharpened by a B factor."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from mlit.maps.filters import GuinierFit, filter_by_shells, guinier_fit, sharpen
from mlit.maps.fsc import wiener_weights
from mlit.maps.references import HalfMaps


@dataclass(frozen=True)
class FilteredMaps:
    """Average of two half maps and what is made of it.

    Attributes
    ----------
    average
        As it is.
    weights
        2 FSC / (1 + FSC) by shell, zero beyond the last shell that stands out from noise.
    filtered
        The average times the weights.
    sharp
        The same after the decay was undone; `filtered` where no decay is known.
    guinier
        Logarithm of the amplitude by shell, and the line through it.
    decay_angstrom2
        B of the decay exp(−B s² / 4) that was undone.
    """

    average: Float[Tensor, "z y x"]
    weights: Float[Tensor, "shell"]
    filtered: Float[Tensor, "z y x"]
    sharp: Float[Tensor, "z y x"]
    guinier: GuinierFit
    decay_angstrom2: float | None


def filter_and_sharpen(halves: HalfMaps, decay_angstrom2: float | None = None) -> FilteredMaps:
    """Filter and sharpen the average of half maps.

    Parameters
    ----------
    halves
        The half maps.
    decay_angstrom2
        B of the decay to undo; fitted in the Guinier plot where it is None.
    """
    pixel, curve = halves.pixel_size_angstrom, halves.curves.corrected
    average = (halves.first + halves.second) / 2
    weights = wiener_weights(curve, "full", halves.independent_fraction)
    guinier = guinier_fit(average * halves.mask.mask, curve, pixel)
    decay = guinier.bfactor_angstrom2 if decay_angstrom2 is None else decay_angstrom2
    filtered = sharp = filter_by_shells(average, weights)
    if decay is not None:
        sharp = filter_by_shells(sharpen(average, pixel, decay, halves.curves.resolution_angstrom()), weights)
    return FilteredMaps(average, weights, filtered, sharp, guinier, decay)
