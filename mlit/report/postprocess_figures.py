"""Figures of an analysis of half maps, drawn from the files in its folder."""

import csv
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mlit.io.fsc_star import read_fsc_star
from mlit.io.mrc import read_mrc
from mlit.io.star import column_numbers, read_star
from mlit.report.figures import COLOURS, THRESHOLD, label_in_angstrom

CURVES = {"corrected": COLOURS[2], "masked": COLOURS[1], "unmasked": COLOURS[3], "randomised": COLOURS[5]}


def write_postprocess_figures(folder: Path) -> list[Path]:
    """Draw correlation curves, Guinier plot and, where there are files for them, directions and local resolution.

    Parameters
    ----------
    folder
        What ``mlit postprocess`` wrote into.

    Returns
    -------
    PNG files in ``folder/figures``.
    """
    drawn = {"fsc": curves_figure(folder), "guinier": guinier_figure(folder)}
    if (folder / "directions.csv").is_file():
        drawn["directions"] = directions_figure(folder)
    if (folder / "local_resolution.mrc").is_file():
        drawn["local_resolution"] = local_resolution_figure(folder)
    (folder / "figures").mkdir(exist_ok=True)
    paths = []
    for name, figure in drawn.items():
        paths.append(folder / "figures" / f"{name}.png")
        figure.savefig(paths[-1], dpi=120)
    return paths


def curves_figure(folder: Path) -> Figure:
    """Fourier shell correlation with and without the mask, of random phases, and corrected."""
    curves = read_fsc_star(folder / "fsc.star")
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    for name, colour in CURVES.items():
        width = 2.0 if name == "corrected" else 1.2
        axes.plot(curves.frequency_per_angstrom, getattr(curves, name), color=colour, label=name, linewidth=width)
    for level in (THRESHOLD, 0.5):
        axes.axhline(level, color="0.6", linewidth=0.8, linestyle="--")
        axes.annotate(f"{level}", (0, level), xytext=(3, 3), textcoords="offset points", color="0.4", fontsize=8)
    axes.set(xlabel="resolution, Å", ylabel="Fourier shell correlation", ylim=(-0.15, 1.03))
    label_in_angstrom(axes)
    axes.legend(frameon=False)
    return figure


def guinier_figure(folder: Path) -> Figure:
    """Logarithm of the amplitude over squared frequency, and the line that gives the B factor."""
    table = read_columns(folder / "guinier.csv")
    squared, amplitude, fitted = table["frequency_squared"], table["log_amplitude"], table["fitted"] > 0
    known = np.isfinite(amplitude)
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(squared[known], amplitude[known], color=COLOURS[0], linewidth=1)
    axes.plot(squared[known & fitted], amplitude[known & fitted], ".", color=COLOURS[2])
    if fitted.any():
        line = table["line"]
        slope = (line[-1] - line[0]) / (squared[-1] - squared[0])
        axes.plot(squared[fitted], line[fitted], color=COLOURS[5], label=f"B = {4 * slope:.0f} Å²")
        axes.legend(frameon=False)
    axes.set(xlabel="squared frequency, 1/Å²", ylabel="ln amplitude of the signal")
    return figure


def directions_figure(folder: Path) -> Figure:
    """Correlation along all directions, and where on the sphere they are good or bad."""
    curves, places = read_columns(folder / "directional_fsc.csv"), read_columns(folder / "directions.csv")
    whole = read_fsc_star(folder / "fsc.star")
    frequency = curves.pop("frequency")
    each = np.stack(list(curves.values()))
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.fill_between(frequency, each.min(0), each.max(0), color=COLOURS[1], alpha=0.35, label="all directions")
    quarter, three_quarters = np.quantile(each, (0.25, 0.75), axis=0)
    left.fill_between(frequency, quarter, three_quarters, color=COLOURS[1], alpha=0.6, label="half of them")
    left.plot(whole.frequency_per_angstrom, whole.corrected, color=COLOURS[2], label="whole map")
    left.axhline(THRESHOLD, color="0.6", linewidth=0.8, linestyle="--")
    left.set(xlabel="resolution, Å", ylabel="Fourier shell correlation, masked and corrected", ylim=(-0.3, 1.03))
    label_in_angstrom(left)
    left.legend(frameon=False)
    sign = np.where(places["z"] < 0, -1.0, 1.0)  # a direction and its opposite are the same
    radius = np.sqrt(2 * (1 - np.abs(places["z"]))) / np.maximum(np.hypot(places["x"], places["y"]), 1e-9)
    across, up = (sign * places[axis] * radius for axis in "xy")
    points = right.scatter(across, up, c=places["resolution_angstrom"], cmap="viridis", s=90)
    figure.colorbar(points, ax=right, label="resolution, Å")
    right.set(xlabel="x", ylabel="y", title="along z in the middle, equal areas", aspect="equal")
    right.set(xticks=[], yticks=[])
    return figure


def local_resolution_figure(folder: Path) -> Figure:
    """Sections of the local resolution in the mask, and its histogram."""
    volume, pixel = read_mrc(folder / "local_resolution.mrc")
    mask, _ = read_mrc(folder / "mask.mrc")
    table = next(iter(read_star(folder / "local_resolution.star").values()))
    resolution, samples = (column_numbers(table, name, "") for name in ("wrpResolution", "wrpSamples"))
    pixel, middle = pixel or 1.0, volume.shape[0] // 2
    low, high = np.percentile(volume[mask > 0.5], (1, 99))
    edges = ((-middle - 0.5) * pixel, (volume.shape[0] - middle - 0.5) * pixel)
    shown = np.ma.masked_where(mask <= 0.5, volume)
    figure = Figure(figsize=(12.8, 3.4), layout="constrained")
    *sections, histogram = figure.subplots(1, 4)
    for axis, axes in enumerate(sections):
        picture = axes.imshow(
            shown.take(middle, axis), cmap="viridis_r", vmin=low, vmax=high, origin="lower", extent=edges * 2
        )
        across = [name for name, number in (("x", 2), ("y", 1), ("z", 0)) if number != axis]
        axes.set(xlabel=f"{across[0]}, Å", ylabel=f"{across[1]}, Å")
    figure.colorbar(picture, ax=sections, label="local resolution, Å")
    width = resolution[1] - resolution[0] if len(resolution) > 1 else 1.0
    histogram.bar(resolution, samples, width=width, color=COLOURS[2])
    histogram.set(xlabel="local resolution, Å", ylabel="voxels in the mask")
    return figure


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """Columns of a CSV file of numbers, by name."""
    with open(path, newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    return dict(zip(names, np.array(rows, dtype=float).T, strict=True))
