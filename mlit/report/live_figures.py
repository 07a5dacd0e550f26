"""Pictures of a run for TensorBoard, drawn from the same numbers as the report, and fast: axes are what takes time."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mlit.report.axis import number
from mlit.report.figures import COLOURS
from mlit.report.map_figures import Sections
from mlit.report.warp_fields import WarpField

DPI = 80
PANEL = 1.5  # sides of the field from one panel to the next
LONGEST = 0.22  # of the field: the longest arrow
GAP = 0.06  # of a section
ACROSS = ("x →, y ↑", "x →, z ↑", "y →, z ↑")


def pixels(figure: Figure) -> np.ndarray:
    """Draw a figure; returns rows, columns and colours (8-bit)."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def warp_figure(fields: Sequence[WarpField]) -> Figure:
    """Draw arrows over the field in three tilts of each series, all to one scale; those within their error are faint.

    Arrows lie at the nodes; the axis of the figure counts sides of the field.
    """
    rows = -(-len(fields) // 3)
    figure, axes = _bare(8.4, 0.7 + 2.6 * rows, top=0.5)
    longest = max(float(np.hypot(*field.shift_angstrom.T).max()) for field in fields) or 1.0
    places, arrows, known = [], [], []
    for i, field in enumerate(fields):
        left, low = PANEL * (i % 3), -PANEL * (i // 3)
        places.append(np.stack([field.x + left, field.y + low], -1))
        arrows.append(field.shift_angstrom * (LONGEST / longest))
        known.append(np.hypot(*field.shift_angstrom.T) >= field.error_angstrom)
        axes.plot(np.array([0, 1, 1, 0, 0]) + left, np.array([0, 0, 1, 1, 0]) + low, color="0.8", linewidth=0.8)
        mean = ", ".join(number(float(v), 2) for v in field.mean_angstrom)
        axes.text(left - 0.1, low + 1.2, f"{field.series}, tilt {field.tilt}; mean {mean} Å", fontsize=8)
    x, y = np.concatenate(places).T
    u, v = np.concatenate(arrows).T
    alpha = np.where(np.concatenate(known), 1.0, 0.35)
    axes.quiver(x, y, u, v, color=COLOURS[2], alpha=alpha, angles="xy", scale_units="xy", scale=1, width=0.0025)
    axes.set(xlim=(-0.3, 2 * PANEL + 1.3), ylim=(-PANEL * (rows - 1) - 0.3, 1.4), aspect="equal")
    figure.suptitle(
        f"image warp less its mean, from the start: x →, y ↑ over the field; the longest arrow is {number(longest)} Å",
        fontsize=9,
    )
    return figure


def sections_figure(maps: Sequence[Sections]) -> Figure:
    """Draw central sections in grey, one map below the other, with a bar of a round number of Å."""
    figure, axes = _bare(6.0, 0.3 + 2.0 * len(maps), top=0.1)
    width = maps[0].width_angstrom
    step = width * (1 + GAP)
    for row, one in enumerate(maps):
        for column, plane in enumerate(one.planes):
            left, low = column * step, -row * step
            extent = (left, left + width, low, low + width)
            axes.imshow(plane, cmap="gray", vmin=one.low, vmax=one.high, origin="lower", extent=extent)
        axes.text(-GAP / 2 * width, -row * step + width / 2, one.title, rotation=90, va="center", ha="right")
    for column, across in enumerate(ACROSS):
        axes.text(column * step + width / 2, 1.02 * width, across, ha="center", va="bottom", fontsize=9)
    bar = float(f"{width / 5:.0e}")
    axes.plot([0.05 * width, 0.05 * width + bar], [0.05 * width] * 2, color="w", linewidth=3)
    axes.text(0.05 * width, 0.07 * width, f"{number(bar)} Å", color="w", fontsize=9)
    axes.set(xlim=(-0.12 * width, 2 * step + width), ylim=(-(len(maps) - 1) * step, 1.1 * width), aspect="equal")
    return figure


def _bare(wide: float, high: float, top: float) -> tuple[Figure, Axes]:
    """Make a figure (inches) of one plot without frame and ticks, with some room above."""
    figure = Figure(figsize=(wide, high))
    axes = figure.add_axes((0.01, 0.01, 0.98, 1 - top / high))
    axes.set_axis_off()
    return figure, axes
