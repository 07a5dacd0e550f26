"""How far the half maps agree: after each iteration, against the iteration before, and with fewer particles."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from mlit.io.fsc_star import read_fsc_star
from mlit.io.mrc import view_mrc
from mlit.maps.filters import guinier_fit
from mlit.maps.fsc import FscCurves
from mlit.maps.rosenthal_henderson import rosenthal_henderson
from mlit.report.axis import Axis, linear_axis, number, spacing_axis
from mlit.report.figures import SUBSETS, THRESHOLD, iteration_curves
from mlit.report.page import Part
from mlit.report.run_folder import RunFolder
from mlit.report.svg import Plot

FINAL = (("corrected", "c1"), ("masked", "c6"), ("unmasked", "c3"), ("randomised", "c2"))
Curves = dict[int, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Guinier:
    """Points of a Guinier plot, which of them the line was fitted to, and its B factor (None: too few)."""

    frequency_squared: np.ndarray
    log_amplitude: np.ndarray
    fitted: np.ndarray
    bfactor_angstrom2: float | None
    intercept: float | None


@dataclass(frozen=True)
class Growth:
    """Resolution of subsets by their number of particles; a line through them and its continuation to twice as many."""

    particles: np.ndarray
    resolution_angstrom: np.ndarray
    line_particles: np.ndarray
    line_angstrom: np.ndarray


def steps(curves: Curves) -> Curves:
    """Frequency, and how much the corrected FSC changed from the iteration before, of all but the first iteration.

    Only frequencies that both curves reach are there: early iterations may have coarser maps.
    """
    changes = {}
    for before, after in pairwise(curves):
        (old_frequency, old), (frequency, new) = curves[before], curves[after]
        both = frequency <= old_frequency[-1] * (1 + 1e-6)
        changes[after] = (frequency[both], new[both] - np.interp(frequency[both], old_frequency, old))
    return changes


def draw_iterations(curves: Curves, species: str) -> list[Part]:
    """Draw the corrected FSC of every iteration, and its changes."""
    if not curves:
        return []
    highest = max(float(frequency[-1]) for frequency, _ in curves.values())
    plot = Plot(spacing_axis(highest), correlation_axis())
    plot.level(THRESHOLD, f"{THRESHOLD}")
    _draw_lines(plot, curves, list(curves))
    parts = [
        Part(
            f"fsc-iterations-{species}",
            f"Fourier shell correlation of the half maps, {species}",
            "Masked and corrected for the mask, after every iteration. The farther right a curve stays high, the finer "
            "the detail that both halves of the data share; read the whole curve, not only where it crosses 0.143.",
            plot.svg("FSC by iteration"),
        )
    ]
    if changes := steps(curves):
        extent = [float(v) for _, change in changes.values() for v in (change.min(), change.max())]
        plot = Plot(spacing_axis(highest), linear_axis("change of the FSC", [*extent, 0.0]))
        plot.level(0.0, "")
        _draw_lines(plot, changes, list(curves))
        parts.append(
            Part(
                f"fsc-changes-{species}",
                f"What each iteration has gained, {species}",
                "FSC of an iteration less that of the one before. Above zero it helped at that resolution; a curve "
                "that lies on zero says that more iterations of the same kind will not help.",
                plot.svg("Change of the FSC by iteration"),
            )
        )
    return parts


def _draw_lines(plot: Plot, curves: Curves, iterations: list[int]) -> None:
    """Draw the last iteration bold, the start grey, and those between in colours of their own."""
    between = ("c5", "c3", "c4", "c6", "c2")
    for iteration, (frequency, values) in curves.items():
        last = iteration == iterations[-1]
        colour = "c1" if last else "c0" if iteration == 0 else between[(iteration - 1) % len(between)]
        name = "start" if iteration == 0 else f"iteration {iteration}"
        plot.line(frequency[1:], values[1:], colour, name, width=2.6 if last else 1.5)


def correlation_axis() -> Axis:
    """Axis of a correlation."""
    return Axis("Fourier shell correlation", -0.1, 1.03, tuple((v, number(v)) for v in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)))


def draw_final(curves: FscCurves, species: str) -> Part:
    """Draw the four curves of the final maps."""
    frequency = curves.frequency_per_angstrom.numpy()
    plot = Plot(spacing_axis(float(frequency[-1])), correlation_axis())
    plot.level(THRESHOLD, f"{THRESHOLD}")
    for name, colour in FINAL:
        values = getattr(curves, name).numpy().clip(min=-0.1)
        plot.line(frequency[1:], values[1:], colour, name, width=2.6 if name == "corrected" else 1.5)
    return Part(
        f"fsc-final-{species}",
        f"Is the mask sound? {species}",
        "Final half maps. “Randomised” is what the mask alone brings, with phases made random: it should fall to zero "
        "well before “corrected” crosses 0.143. “Unmasked” counts the noise of the solvent too.",
        plot.svg("FSC of the final half maps"),
    )


def guinier_numbers(folder: Path) -> Guinier:
    """Guinier plot of the average of the half maps of a species, inside its mask."""
    curves = read_fsc_star(folder / "fsc.star")
    volume, pixel = view_mrc(folder / "map.mrc")
    mask, _ = view_mrc(folder / "mask.mrc")
    fit = guinier_fit(torch.from_numpy(volume) * torch.from_numpy(mask), curves.corrected, pixel or 1.0)
    known = torch.isfinite(fit.log_amplitude)
    known[0] = False
    squared, amplitude, fitted = (v[known].numpy() for v in (fit.frequency_squared, fit.log_amplitude, fit.fitted))
    return Guinier(squared, amplitude, fitted, fit.bfactor_angstrom2, fit.intercept)


def draw_guinier(found: Guinier, species: str) -> Part:
    """Draw the points, and the line where there is one."""
    x, y = found.frequency_squared, found.log_amplitude
    plot = Plot(linear_axis("squared frequency, 1/Å²", x, from_zero=True), linear_axis("ln amplitude of the signal", y))
    plot.line(x, y, "c0")
    if found.bfactor_angstrom2 is None or found.intercept is None:
        note = "No line: fewer than four shells lie between 10 Å and the resolution of the map."
    else:
        ends = np.array([x[found.fitted][0], x[found.fitted][-1]])
        plot.points(x[found.fitted], y[found.fitted], "c1", "shells of the fit")
        line = found.intercept - found.bfactor_angstrom2 / 4 * ends
        plot.line(ends, line, "c2", f"B = {number(-found.bfactor_angstrom2, 3)} Å²", width=2.2)
        note = "The slope of the line is the B factor that map_sharp.mrc was sharpened by."
    return Part(
        f"guinier-{species}",
        f"Guinier plot, {species}",
        f"How fast the signal fades towards detail, weighted by the FSC. {note}",
        plot.svg("Guinier plot"),
    )


def growth_numbers(run: RunFolder, species: str) -> Growth | None:
    """Subsets of the particles, and a line through them where they improve with their number; None without subsets."""
    table = run.table(f"{species}/{SUBSETS}")
    if table.empty:
        return None
    table = table[np.isfinite(table["resolution_angstrom"])]
    particles, resolution = table["particles"].to_numpy(float), table["resolution_angstrom"].to_numpy(float)
    if len(np.unique(particles)) < 2:
        return Growth(particles, resolution, np.zeros(0), np.zeros(0))
    line = rosenthal_henderson(particles.tolist(), resolution.tolist())
    more = np.geomspace(particles.min(), 2 * particles.max(), 25)
    there = np.array([line.resolution_angstrom(n) for n in more])
    kept = np.isfinite(there) & (line.slope > 0)
    return Growth(particles, resolution, more[kept], there[kept])


def draw_growth(found: Growth, species: str) -> Part:
    """Draw subsets and line on the axes that make it straight."""
    all_numbers = np.r_[found.particles, found.line_particles]
    marks = sorted({*found.particles.tolist(), *(2 * found.particles[-1:]).tolist()})
    x = Axis(
        "particles",
        float(all_numbers.min()) / 1.1,
        float(all_numbers.max()) * 1.1,
        tuple((n, number(n, 6)) for n in marks if n <= all_numbers.max() * 1.01),
        logarithmic=True,
    )
    squared = np.r_[found.resolution_angstrom, found.line_angstrom] ** -2.0
    low, high = float(squared.min()), float(squared.max())
    room = 0.08 * (high - low) or 0.1 * high
    levels = np.linspace(low, high, 5) if high > low else np.array([low])
    plot = Plot(
        x, Axis("resolution at FSC 0.143, Å", low - room, high + room, tuple((v, f"{v**-0.5:.2f}") for v in levels))
    )
    if len(found.line_particles):
        plot.line(found.line_particles, found.line_angstrom**-2.0, "c2", "line through them, to twice the particles")
    plot.points(found.particles, found.resolution_angstrom**-2.0, "c1", "random subsets of the particles")
    return Part(
        f"growth-{species}",
        f"What more particles would bring (Rosenthal–Henderson), {species}",
        "Resolution of subsets, on axes that make the expected gain a straight line; its end is what twice the "
        "particles would reach if they were like these. Single crossings of 0.143 scatter by a shell or more.",
        plot.svg("Resolution by number of particles"),
    )


def resolution_parts(run: RunFolder) -> list[Part]:
    """All figures of this section that the files allow."""
    parts = []
    for species in run.species:
        folder = run.path / species
        parts += draw_iterations(iteration_curves(run.path, species), species)
        if (folder / "fsc.star").is_file():
            parts.append(draw_final(read_fsc_star(folder / "fsc.star"), species))
        if all((folder / name).is_file() for name in ("fsc.star", "map.mrc", "mask.mrc")):
            parts.append(draw_guinier(guinier_numbers(folder), species))
        if (growth := growth_numbers(run, species)) is not None:
            parts.append(draw_growth(growth, species))
    return parts
