"""Figures of a finished run, drawn from the files in its folder."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlit.io.fsc_star import read_fsc_star
from mlit.io.mrc import read_mrc

COLOURS = ("#999999", "#56B4E9", "#0072B2", "#009E73", "#E69F00", "#D55E00", "#CC79A7")  # Okabe and Ito
THRESHOLD = 0.143
SUBSETS = "subsets.csv"


def write_figures(run: Path, species: str, folder: Path | None = None) -> list[Path]:
    """Draw the resolution of every iteration and of subsets, the progress of every series and sections of the map.

    Parameters
    ----------
    run
        Folder of a finished run.
    species
        Name of the species, whose folder holds the maps.

    folder
        Where to draw; by default ``run/figures``.

    Returns
    -------
    PNG files.
    """
    drawn = {
        "fsc": fsc_figure(run, species),
        "sections": sections_figure(run / species),
        "progress": progress_figure(run),
    }
    if (run / species / SUBSETS).is_file():
        drawn["particles"] = particles_figure(run / species)
    folder = folder or run / "figures"
    folder.mkdir(exist_ok=True)
    paths = []
    for name, figure in drawn.items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=120)
    return paths


def iteration_curves(run: Path, species: str) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Frequency (1/Å) and corrected FSC of every iteration, in order."""
    curves = {}
    for path in (run / "fsc" / species).glob("iteration_*.star"):
        fsc = read_fsc_star(path)
        curves[int(path.stem.split("_")[1])] = (fsc.frequency_per_angstrom.numpy(), fsc.corrected.numpy())
    return dict(sorted(curves.items()))


def fsc_figure(run: Path, species: str) -> Figure:
    """Fourier shell correlation of the half maps after every iteration."""
    figure = Figure(figsize=(6.4, 4.4))
    axes = figure.add_axes((0.11, 0.12, 0.86, 0.85))  # a search for the layout takes as long as the drawing
    curves = iteration_curves(run, species)
    for i, (iteration, (frequency, corrected)) in enumerate(curves.items()):
        label = "start" if iteration == 0 else f"iteration {iteration}"
        axes.plot(frequency, corrected, color=COLOURS[i % len(COLOURS)], label=label)
    axes.axhline(THRESHOLD, color="0.6", linewidth=0.8, linestyle="--")
    axes.annotate(f"{THRESHOLD}", (0, THRESHOLD), xytext=(3, 3), textcoords="offset points", color="0.4", fontsize=8)
    axes.set(xlabel="resolution, Å", ylabel="Fourier shell correlation, masked and corrected", ylim=(-0.1, 1.03))
    label_in_angstrom(axes)
    axes.legend(frameon=False)
    return figure


def particles_figure(folder: Path) -> Figure:
    """Inverse squared resolution of subsets over the logarithm of their size, with the fitted line."""
    table = pd.read_csv(folder / SUBSETS)
    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    axes = figure.subplots()
    number, resolution = table["particles"].to_numpy(), table["resolution_angstrom"].to_numpy()
    axes.plot(number, resolution**-2.0, "o", color=COLOURS[2], label="subsets")
    if np.isfinite(table["line_angstrom"].to_numpy()).all():
        label = "Rosenthal–Henderson line"
        axes.plot(number, table["line_angstrom"].to_numpy() ** -2.0, color=COLOURS[5], label=label)
    axes.set(xscale="log", xlabel="particles", ylabel="resolution at FSC 0.143, Å")
    axes.set_xticks(number, [f"{n:.0f}" for n in number], minor=False)
    axes.minorticks_off()
    ticks = np.linspace((resolution**-2.0).min(), (resolution**-2.0).max(), 5)
    axes.set_yticks(ticks, [f"{tick**-0.5:.2f}" for tick in ticks])
    axes.legend(frameon=False)
    return figure


def sections_figure(folder: Path) -> Figure:
    """Central sections of the filtered map along the three axes, with the outline of the mask."""
    volume, pixel = read_mrc(folder / "map_filtered.mrc")
    mask, _ = read_mrc(folder / "mask.mrc")
    pixel, size = pixel or 1.0, volume.shape[0]
    middle = size // 2
    low_edge, high_edge = (-middle - 0.5) * pixel, (size - middle - 0.5) * pixel
    extent = (low_edge, high_edge, low_edge, high_edge)
    low, high = np.percentile(volume, (1, 99.8))
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    for axis, axes in zip(range(3), figure.subplots(1, 3), strict=True):
        axes.imshow(volume.take(middle, axis), cmap="gray", vmin=low, vmax=high, origin="lower", extent=extent)
        outline = mask.take(middle, axis)
        if outline.max() > 0.5 > outline.min():
            axes.contour(outline, [0.5], colors=COLOURS[5], linewidths=0.8, origin="lower", extent=extent)
        across = [name for name, number in (("x", 2), ("y", 1), ("z", 0)) if number != axis]
        axes.set(xlabel=f"{across[0]}, Å", ylabel=f"{across[1]}, Å")
    return figure


def progress_figure(run: Path) -> Figure:
    """Gain of the log-posterior of every series in every iteration, and the resolution after it."""
    with open(run / "metrics.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    iterations = sorted({int(row["iteration"]) for row in rows})
    figure = Figure(figsize=(9.6, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, name in enumerate(sorted({row["series"] for row in rows})):
        own = [row for row in rows if row["series"] == name and int(row["passes"]) > 0]
        gain = [float(row["log_posterior_end"]) - float(row["log_posterior_start"]) for row in own]
        left.plot([int(row["iteration"]) for row in own], gain, "o-", color=COLOURS[i % len(COLOURS)], label=name)
    left.set(xlabel="iteration", ylabel="gain of the log-posterior, nats", yscale="symlog")
    if left.lines and len(left.lines) <= len(COLOURS):
        left.legend(frameon=False)
    reached = {int(row["iteration"]): float(row["fsc_0.143_angstrom"]) for row in rows}
    right.plot(iterations, [reached[i] for i in iterations], "o-", color=COLOURS[2])
    right.set(xlabel="iteration", ylabel="resolution at FSC 0.143, Å", ylim=(0, None))
    for axes in (left, right):
        axes.set_xticks(iterations)
    return figure


def label_in_angstrom(axes: Axes) -> None:
    """Label a frequency axis with wavelengths, and say which frequencies it runs over."""
    highest = axes.get_xlim()[1]
    axes.set_xlabel(f"{axes.get_xlabel()}; evenly in frequency, 0 to {highest:.3g} 1/Å")
    ticks = np.linspace(0, highest, 8)[1:-1]
    axes.set_xlim(0, highest)
    axes.set_xticks(ticks, [f"{1 / tick:.3g}" for tick in ticks])
