"""Estimated weights of images: how strong the signal of tilts and series is, and how fast it fades towards detail."""

from dataclasses import dataclass

import numpy as np

from mlit.report.axis import Axis, linear_axis
from mlit.report.page import Part
from mlit.report.run_folder import RunFolder, Table
from mlit.report.svg import Plot

ALONE = 6  # series that have lines of their own
BINS = 20  # of the dose, where there are more series
COLOURS = ("c1", "c2", "c3", "c4", "c5", "c6")
QUANTITIES = {
    "quality": ("quality", "quality_error", "Quality", "quality"),
    "amplitude": ("amplitude", "amplitude_error", "Amplitudes", "amplitude"),
    "bfactor": ("bfactor_angstrom2", "bfactor_error_angstrom2", "B factors", "B factor, Å²"),
}
READING = {
    "quality": "Signal over what dose and path through the sample let expect, at the spacing where it is known best: "
    "the number to look at for what is bad",
    "amplitude": "1 is the strongest. What has a small amplitude counts less in fits and maps",
    "bfactor": "0 is what fades least towards detail. Exposure alone makes it fall with the dose: look for what lies "
    "off the others",
}


@dataclass(frozen=True)
class Spread:
    """Values of many series over the dose: quantiles 0, ¼, ½, ¾ and 1 (rows) in bins of equal numbers of tilts."""

    dose: np.ndarray
    quantiles: np.ndarray


def weight_rows(run: RunFolder, kind: str) -> Table:
    """Rows of ``weights.csv`` of one kind (``tilt``, ``series``); empty without a table."""
    table = run.table("weights.csv")
    return table if table.empty else table[table["kind"] == kind]


def spread_over_dose(tilts: Table, value: str) -> Spread:
    """Sort the tilts of all series by dose and return how their values spread."""
    order = tilts.sort_values("dose", kind="stable")
    parts = [part for part in np.array_split(np.arange(len(order)), BINS) if len(part)]
    dose, values = order["dose"].to_numpy(float), order[value].to_numpy(float)
    quantiles = np.stack([np.quantile(values[part], (0, 0.25, 0.5, 0.75, 1)) for part in parts], 1)
    return Spread(np.array([dose[part].mean() for part in parts]), quantiles)


def draw_tilts(tilts: Table, name: str) -> Part:
    """Draw one quantity of all tilts over the dose."""
    value, error, title, label = QUANTITIES[name]
    series = sorted(tilts["series"].unique())
    if len(series) <= ALONE:
        low, high = tilts[value] - tilts[error], tilts[value] + tilts[error]
        plot = Plot(_dose_axis(tilts), linear_axis(label, [*low, *high]))
        for colour, one in zip(COLOURS, series, strict=False):
            own = tilts[tilts["series"] == one].sort_values("dose")
            x, y, dy = (own[column].to_numpy(float) for column in ("dose", value, error))
            plot.band(x, y - dy, y + dy, colour)
            plot.line(x, y, colour, one)
        how = "Bands are standard errors."
    else:
        found = spread_over_dose(tilts, value)
        plot = Plot(_dose_axis(tilts), linear_axis(label, found.quantiles.ravel()))
        plot.band(found.dose, found.quantiles[0], found.quantiles[4], "c6", "all tilts")
        plot.band(found.dose, found.quantiles[1], found.quantiles[3], "c1", "half of them")
        plot.line(found.dose, found.quantiles[2], "c2", "median", width=2.4)
        how = f"{len(series)} series; weights.csv has all values."
    return Part(f"weights-{name}", f"{title} of tilts", f"{READING[name]}. {how}", plot.svg(f"{title} of tilts"))


def draw_series(whole: Table, name: str) -> Part:
    """Draw one quantity of all series with its standard error, the best first."""
    value, error, title, label = QUANTITIES[name]
    own = whole.sort_values(value, ascending=False, kind="stable")
    y, dy = (own[column].to_numpy(float) for column in (value, error))
    rank = np.arange(1, len(own) + 1, dtype=float)
    step = max(1, len(own) // 10)
    x = Axis("series, the best first", 0.5, len(own) + 0.5, tuple((r, f"{r:.0f}") for r in rank[::step].tolist()))
    plot = Plot(x, linear_axis(label, [*(y - dy), *(y + dy)]))
    for place, middle, half in zip(rank, y, dy, strict=True):
        plot.line([place, place], [middle - half, middle + half], "c0")
    plot.points(rank, y, "c1", titles=[str(one) for one in own["series"]])
    return Part(
        f"weights-series-{name}",
        f"{title} of series",
        f"{READING[name]}. Bars are standard errors; the worst is {own['series'].iloc[-1]}. The pointer shows names.",
        plot.svg(f"{title} of series"),
    )


def _dose_axis(tilts: Table) -> Axis:
    return linear_axis("dose, e/Å²", tilts["dose"].to_numpy(float))


def weight_parts(run: RunFolder) -> list[Part]:
    """Draw the weights of a run that has estimated some."""
    tilts, whole = weight_rows(run, "tilt"), weight_rows(run, "series")
    if tilts.empty:
        return []
    series = [draw_series(whole, name) for name in QUANTITIES] if len(whole) > 1 else []
    return [*(draw_tilts(tilts, name) for name in QUANTITIES), *series]
