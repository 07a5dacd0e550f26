"""Particles drawn where the metadata put them in tilt images, to be compared by eye."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from scipy import ndimage

from mlit.io.atomic import atomic_write
from mlit.project.images import load_tilt_images
from mlit.project.project import Project, SeriesInput

COLOURS = {1: "#E69F00", 2: "#56B4E9"}  # Okabe and Ito
BLUR_OVER_DIAMETER = 1 / 24  # Gaussian, one standard deviation
CONTRAST_PERCENT = (1.0, 99.0)
WIDTH_INCHES = 5.0  # of a panel
MOST_PIXELS = 1500  # along a side that is drawn


def tilts_to_draw(series: SeriesInput) -> list[int]:
    """Return the tilt in use nearest to 0°, and on either side the one nearest to half the largest angle there."""
    used = series.use_tilt.nonzero().flatten()
    angle = series.geometry.tilt_angle_rad[used]
    lowest = angle[angle.abs().argmin()]
    drawn = {int(used[angle.abs().argmin()])}
    for beside in (angle < lowest, angle > lowest):
        if beside.any():
            side = angle[beside]
            middle = side[side.abs().argmax()] / 2
            drawn.add(int(used[beside][(side - middle).abs().argmin()]))
    return sorted(drawn)


def write_overlay(path: Path, series: SeriesInput, project: Project, diameter_angstrom: float) -> None:
    """Draw the particles of a series in some of its tilts, side by side, as a PNG.

    Circles have the diameter of the molecule and the colour of the half set. Row 0 of an image is at the bottom.

    Raises
    ------
    InputError
        If an image cannot be read.
    """
    figure = overlay_figure(series, project, diameter_angstrom)
    with atomic_write(path) as partial:
        figure.savefig(partial, dpi=120, format="png")


def overlay_figure(series: SeriesInput, project: Project, diameter_angstrom: float) -> Figure:
    """Draw what `write_overlay` writes."""
    tilts = tilts_to_draw(series)
    only = torch.zeros_like(series.use_tilt)
    only[tilts] = True
    images = load_tilt_images(replace(series, use_tilt=only))
    rows = series.particle_index.numpy()
    position = torch.from_numpy(project.particles.position_angstrom[rows].mean(1))
    xy = series.geometry.project(position).xy_angstrom.numpy()
    half = project.particles.half_set[rows]
    x, y = series.image_size_px
    figure = Figure(figsize=(WIDTH_INCHES * len(tilts), WIDTH_INCHES * y / x + 0.7), layout="constrained")
    for axes, tilt in zip(figure.subplots(1, len(tilts), squeeze=False)[0], tilts, strict=True):
        _draw_image(axes, images[tilt].numpy(), series.pixel_size_angstrom, diameter_angstrom)
        for number, colour in COLOURS.items():
            _draw_circles(axes, xy[half == number, tilt], diameter_angstrom, colour)
        angle = float(series.geometry.tilt_angle_rad[tilt].rad2deg())
        axes.set_title(f"tilt {tilt + 1}, {angle:.1f}°", fontsize=10)
        _draw_scale_bar(axes, x * series.pixel_size_angstrom)
    counts = " and ".join(f"{int((half == number).sum())} of half set {number}" for number in COLOURS)
    figure.suptitle(f"{series.name}: {counts} (orange and blue)", fontsize=11)
    return figure


def _draw_image(axes: Axes, image: np.ndarray, pixel: float, diameter: float) -> None:
    """Show an image, low-passed and with its contrast stretched, in Å."""
    y, x = image.shape
    smooth = ndimage.gaussian_filter(image, max(0.5, BLUR_OVER_DIAMETER * diameter / pixel))
    step = max(1, round(max(x, y) / MOST_PIXELS))
    low, high = np.percentile(smooth, CONTRAST_PERCENT)
    extent = ((-0.5) * pixel, (x - 0.5) * pixel, (-0.5) * pixel, (y - 0.5) * pixel)
    axes.imshow(smooth[::step, ::step], cmap="gray", origin="lower", extent=extent, vmin=low, vmax=high)
    axes.set(xlim=extent[:2], ylim=extent[2:], xticks=(), yticks=())


def _draw_circles(axes: Axes, xy: np.ndarray, diameter: float, colour: str) -> None:
    size = np.full(len(xy), diameter)
    circles = EllipseCollection(
        size, size, np.zeros(len(xy)), units="xy", offsets=xy, offset_transform=axes.transData, facecolors="none"
    )
    circles.set(edgecolor=colour, linewidth=0.8)
    axes.add_collection(circles)


def _draw_scale_bar(axes: Axes, width_angstrom: float) -> None:
    """Draw a bar of a round length, about a fifth of the width."""
    decade = 10.0 ** np.floor(np.log10(width_angstrom / 5))
    length = decade * max(factor for factor in (1, 2, 5) if factor * decade <= width_angstrom / 5)
    axes.plot([0.04 * width_angstrom, 0.04 * width_angstrom + length], [0.04 * width_angstrom] * 2, "w", linewidth=3)
    label = f"{length / 10:g} nm"
    axes.text(0.04 * width_angstrom, 0.055 * width_angstrom, label, color="w", fontsize=9, va="bottom")
