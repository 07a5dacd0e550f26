"""Pictures of a run for TensorBoard, drawn from the same numbers as the report."""

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
LONGEST = 0.2  # of the field: the longest arrow
ACROSS = ("x →, y ↑", "x →, z ↑", "y →, z ↑")


def pixels(figure: Figure) -> np.ndarray:
    """Draw a figure; returns rows, columns and colours (8-bit)."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def warp_figure(fields: Sequence[WarpField]) -> Figure:
    """Draw arrows over the field in three tilts of each series, all to one scale."""
    rows = -(-len(fields) // 3)
    height = 2.75 * rows + 0.9
    figure = Figure(figsize=(8.4, height))
    panels = figure.subplots(rows, 3, squeeze=False)
    longest = max(float(np.hypot(*field.shift_angstrom.T).max()) for field in fields) or 1.0
    for field, axes in zip(fields, panels.flat, strict=False):
        _arrows(axes, field, longest)
    for axes in panels.flat[len(fields) :]:
        axes.set_axis_off()
    figure.suptitle(f"image warp less its mean, from the start; the longest arrow is {number(longest)} Å", fontsize=10)
    figure.supxlabel("x, share of the field", fontsize=9)
    figure.supylabel("y, share of the field", fontsize=9)
    figure.subplots_adjust(left=0.09, right=0.99, bottom=0.6 / height, top=1 - 0.65 / height, hspace=0.3)
    return figure


def _arrows(axes: Axes, field: WarpField, longest: float) -> None:
    shift = field.shift_angstrom * (LONGEST / longest)
    known = np.hypot(*field.shift_angstrom.T) >= field.error_angstrom
    for which, alpha in ((known, 1.0), (~known, 0.35)):
        axes.quiver(
            field.x[which],
            field.y[which],
            *shift[which].T,
            color=COLOURS[2],
            alpha=alpha,
            angles="xy",
            scale_units="xy",
            scale=1,
            width=0.008,
        )
    mean = ", ".join(number(float(v), 2) for v in field.mean_angstrom)
    axes.set_title(f"{field.series}, tilt {field.tilt}; mean {mean} Å", fontsize=8)
    axes.set(xlim=(-0.25, 1.25), ylim=(-0.25, 1.25), aspect="equal", xticks=(0, 1), yticks=(0, 1))


def live_sections_figure(maps: Sequence[Sections]) -> Figure:
    """Draw central sections in grey, one map below the other."""
    figure = Figure(figsize=(8.4, 2.9 * len(maps)))
    for one, row in zip(maps, figure.subplots(len(maps), 3, squeeze=False), strict=True):
        for plane, across, axes in zip(one.planes, ACROSS, row, strict=True):
            half = one.width_angstrom / 2
            extent = (-half, half, -half, half)
            axes.imshow(plane, cmap="gray", vmin=one.low, vmax=one.high, origin="lower", extent=extent)
            axes.set_xlabel(f"{across}, Å", fontsize=8)
            axes.tick_params(labelsize=7)
        row[0].set_ylabel(one.title, fontsize=10)
    figure.subplots_adjust(left=0.09, right=0.99, bottom=0.16 / len(maps), top=0.985, hspace=0.3)
    return figure
