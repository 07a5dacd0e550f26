"""Axes of a plot: where values lie, and round numbers to write beside them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Axis:
    """One axis of a plot.

    Attributes
    ----------
    label
        Quantity and unit.
    low, high
        Values at the ends.
    logarithmic
        Whether equal steps are equal ratios.
    ticks
        Values and their labels.
    """

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def fraction(self, values: Sequence[float] | np.ndarray | float) -> np.ndarray:
        """Place of values along the axis, 0 to 1; not a number where there is none."""
        values = np.asarray(values, dtype=np.float64)
        low, high = self.low, self.high
        if self.logarithmic:
            low, high = math.log(low), math.log(high)
            values = np.log(np.where(values > 0, values, np.nan))
        return np.asarray((values - low) / (high - low))


def number(value: float, digits: int = 3) -> str:
    """Write a number for a person, with a true minus sign; – where there is none."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}g}"
    if "e" in text:
        text = f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}") if 1 < abs(value) < 1e9 else text
    return text.replace("-", "−")


def linear_axis(label: str, values: Iterable[float], *, from_zero: bool = False, steps: int = 5) -> Axis:
    """Axis with round ticks that holds all finite values."""
    finite = [float(v) for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low < 1e-9 * max(abs(high), abs(low), 1e-9):
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    step = _round_step((high - low) / steps)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple((i * step, number(round(i * step, 12), 6)) for i in range(first, last + 1))
    return Axis(label, first * step, last * step, ticks)


def log_axis(label: str, values: Iterable[float]) -> Axis:
    """Logarithmic axis with ticks at 1, 2, 5, 10 … that holds all values above zero."""
    finite = [float(v) for v in values if math.isfinite(v) and v > 0] or [0.1, 1.0]
    low, high = min(finite) / 1.15, max(finite) * 1.15
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if math.log10(high / low) < 2.5 else (1,)
    ticks = [(f * 10.0**d, number(f * 10.0**d)) for d in decades for f in factors]
    inside = tuple(tick for tick in ticks if low <= tick[0] <= high)
    return Axis(label, low, high, inside, logarithmic=True)


def spacing_axis(highest_per_angstrom: float, label: str = "resolution, Å") -> Axis:
    """Axis of spatial frequency, labelled with spacings in Å."""
    ticks = tuple((f, number(1 / f)) for f in np.linspace(0, highest_per_angstrom, 7)[1:].tolist())
    return Axis(label, 0.0, highest_per_angstrom, ticks)


def _round_step(least: float) -> float:
    """Smallest of 1, 2, 5, 10 … that is not below a number."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
