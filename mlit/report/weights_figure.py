"""Figure of estimated weights, drawn from the table of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlit.report.figures import COLOURS

ENTRIES = 7  # of a legend
QUANTITIES = (
    ("amplitude", "amplitude_error", "amplitude"),
    ("bfactor_angstrom2", "bfactor_error_angstrom2", "B factor, Å²"),
)

Row = Mapping[Any, Any]


def write_weights_figure(run: Path) -> Path:
    """Draw ``figures/weights.png`` of a run that has estimated weights."""
    path = run / "figures" / "weights.png"
    path.parent.mkdir(exist_ok=True)
    weights_figure(pd.read_csv(run / "weights.csv")).savefig(path, dpi=120)
    return path


def weights_figure(table: pd.DataFrame) -> Figure:
    """Amplitude and B factor of tilts over dose and angle, of series, and of places."""
    rows = table.to_dict("records")
    tilts, whole = ([row for row in rows if row["kind"] == kind] for kind in ("tilt", "series"))
    places = [row for row in rows if row["kind"] == "place" and row["series"] == rows[0]["series"]]
    columns = 4 if places else 3
    figure = Figure(figsize=(3.4 * columns, 6.0), layout="constrained")
    axes = figure.subplots(2, columns)
    for row, (value, error, label) in zip(axes, QUANTITIES, strict=True):
        _by_tilt(row[0], tilts, "dose", value, error)
        _by_tilt(row[1], tilts, "angle_deg", value, error)
        _one_by_one(row[2], whole, value, error)
        if places:
            _one_by_one(row[3], places, value, error)
        row[0].set_ylabel(label)
    for axis, label in zip(axes[1], ("dose, e/Å²", "tilt angle, °", "series", "place"), strict=False):
        axis.set_xlabel(label)
    if len(whole) <= ENTRIES:
        axes[0, 0].legend(frameon=False, fontsize=7)
    return figure


def _by_tilt(axes: Axes, rows: Sequence[Row], along: str, value: str, error: str) -> None:
    for number, name in enumerate(sorted({row["series"] for row in rows})):
        own = sorted((row for row in rows if row["series"] == name), key=lambda row: row[along])
        x, y, dy = ([row[key] for row in own] for key in (along, value, error))
        axes.errorbar(x, y, dy, color=COLOURS[number % len(COLOURS)], lw=0.8, elinewidth=0.5, label=name)


def _one_by_one(axes: Axes, rows: Sequence[Row], value: str, error: str) -> None:
    y, dy = ([row[key] for row in rows] for key in (value, error))
    axes.errorbar(range(1, len(rows) + 1), y, dy, fmt="o", color=COLOURS[2], ms=3, elinewidth=0.8)
