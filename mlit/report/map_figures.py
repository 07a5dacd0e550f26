"""Sections of the maps, local resolution, and resolution by direction."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.image import imsave

from mlit.geometry.map_symmetry import Symmetry
from mlit.io.fsc_star import read_fsc_star
from mlit.io.mrc import view_mrc, write_mrc
from mlit.maps.directional_fsc import DirectionalFsc, directional_fsc
from mlit.maps.independence import independent_fraction
from mlit.maps.local_grid import LocalGrid
from mlit.maps.local_resolution import local_resolution
from mlit.maps.mask import MaskResult
from mlit.report.axis import linear_axis, number, spacing_axis
from mlit.report.figures import THRESHOLD
from mlit.report.page import Part
from mlit.report.resolution_figures import correlation_axis
from mlit.report.run_folder import RunFolder
from mlit.report.svg import Plot

KINDS = {"map": "raw", "map_sharp": "sharpened", "map_denoised": "denoised"}
MOST_PIXELS = 400  # along an edge of a section
MOST_VOXELS_LOCAL = 200  # along an edge of the part in the mask: some 20 s on one core
SAMPLES = 128  # along an edge: enough of the voxels to see their range
LOCAL_RESOLUTION = "local_resolution.mrc"
BIN_ANGSTROM = 0.25


@dataclass(frozen=True)
class Halves:
    """Half maps of a species, with what is needed to judge them."""

    first: torch.Tensor
    second: torch.Tensor
    mask: torch.Tensor
    pixel_size_angstrom: float
    resolution_angstrom: float
    symmetry: Symmetry


@dataclass(frozen=True)
class Sections:
    """Sections through the middle of a map, across z, y and x; ``low`` is drawn black, ``high`` white."""

    title: str
    planes: tuple[np.ndarray, ...]
    low: float
    high: float
    width_angstrom: float


def read_halves(run: RunFolder, species: str) -> Halves | None:
    """Read the half maps; None where some file is missing, or they agree at no resolution."""
    folder = run.path / species
    if not all((folder / name).is_file() for name in ("half1.mrc", "half2.mrc", "mask.mrc", "fsc.star")):
        return None
    (first, pixel), (second, _), (mask, _) = (view_mrc(folder / f"{name}.mrc") for name in ("half1", "half2", "mask"))
    resolution = read_fsc_star(folder / "fsc.star").resolution_angstrom(THRESHOLD)
    if not np.isfinite(resolution) or not mask.any():
        return None
    halves = [torch.from_numpy(volume) for volume in (first, second, mask)]
    return Halves(halves[0], halves[1], halves[2], pixel or 1.0, resolution, run.symmetry(species))


def central_sections(volume: np.ndarray) -> list[np.ndarray]:
    """Sections through the middle voxel across z, y and x, thinned where they are very large."""
    middle = volume.shape[0] // 2
    step = -(-volume.shape[0] // MOST_PIXELS)
    return [volume.take(middle, axis)[::step, ::step] for axis in range(3)]


def thinned(volume: np.ndarray) -> np.ndarray:
    """Return every second, third, … voxel of a large map: enough to see the range of its values."""
    step = max(1, volume.shape[0] // SAMPLES)
    return volume[::step, ::step, ::step]


def sections_of(volume: np.ndarray, pixel_size_angstrom: float, title: str) -> Sections:
    """Central sections of a map, and the range of grey that suits it."""
    low, high = np.percentile(thinned(volume), (1, 99.8))
    planes = tuple(central_sections(volume))
    return Sections(title, planes, float(low), float(high), volume.shape[0] * pixel_size_angstrom)


def average_sections(first: torch.Tensor, second: torch.Tensor, pixel_size_angstrom: float) -> Sections:
    """Central sections of the average of two half maps, on any device."""
    return sections_of(((first + second) / 2).cpu().numpy(), pixel_size_angstrom, KINDS["map"])


def section_numbers(run: RunFolder, species: str) -> list[Sections]:
    """Sections of every map of a species that is there."""
    paths = {title: run.path / species / f"{name}.mrc" for name, title in KINDS.items()}
    found = {title: view_mrc(path) for title, path in paths.items() if path.is_file()}
    return [sections_of(volume, pixel or 1.0, title) for title, (volume, pixel) in found.items()]


def draw_sections(found: list[Sections], species: str) -> Part:
    """Show the three central sections of maps."""
    rows = []
    for one in found:
        pictures = (picture(plane, one.low, one.high, f"{one.title} map, {species}") for plane in one.planes)
        rows.append(f"<span>{one.title}</span>{''.join(pictures)}")
    heads = "<em></em><em>x →, y ↑</em><em>x →, z ↑</em><em>y →, z ↑</em>"
    return Part(
        f"sections-{species}",
        f"Central sections, {species}",
        f"Through the centre of the box of {number(found[0].width_angstrom, 4)} Å, across z, y and x; density is "
        "bright. Raw: average of the half maps. Sharpened: by the B factor of the Guinier plot, where there is one, "
        "and weighted by the FSC. Denoised: by a network, to look at only.",
        f'<div class="slices">{heads}{"".join(rows)}</div>',
        width="tall",
    )


def picture(section: np.ndarray, low: float, high: float, title: str) -> str:
    """Return a section as an image in grey, y upwards."""
    shades = np.clip((section - low) / max(high - low, 1e-30), 0, 1)
    data = io.BytesIO()
    imsave(data, np.round(255 * shades).astype(np.uint8), cmap="gray", vmin=0, vmax=255, origin="lower", format="png")
    return f'<img alt="{title}" src="data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}">'


def local_numbers(halves: Halves, path: Path) -> np.ndarray | None:
    """Local resolution (Å) of every voxel in the mask, kept as a map; None where it would take long."""
    mask = halves.mask
    part = LocalGrid.around(mask, halves.pixel_size_angstrom, 1)
    if part.size > MOST_VOXELS_LOCAL:
        return None
    found = local_resolution(
        halves.first, halves.second, mask, halves.pixel_size_angstrom, halves.resolution_angstrom, halves.symmetry
    )
    volume = found.on_map(found.resolution_angstrom, found.coarsest_angstrom).numpy()
    write_mrc(path, volume, halves.pixel_size_angstrom)
    return volume[mask.numpy() > 0.5]


def draw_local(inside: np.ndarray, species: str) -> Part:
    """Draw the histogram of the local resolution."""
    low, high = np.floor(inside.min() / BIN_ANGSTROM), np.ceil(inside.max() / BIN_ANGSTROM + 1e-6)
    step = max(1, int((high - low) // 40))
    edges = np.arange(low, high + step, step) * BIN_ANGSTROM
    counts, _ = np.histogram(inside, edges)
    x = linear_axis("local resolution, Å", edges)
    plot = Plot(x, linear_axis("voxels in the mask", [0.0, *counts.tolist()]))
    plot.bars(edges, counts.astype(float), "c1")
    quarter, half, three = (number(float(v)) for v in np.percentile(inside, (25, 50, 75)))
    return Part(
        f"local-resolution-{species}",
        f"Local resolution, {species}",
        f"Of the voxels in the mask; half of them lie between {quarter} and {three} Å, the median at {half} Å. Left is "
        f"better. {LOCAL_RESOLUTION} beside the maps colours them in ChimeraX.",
        plot.svg("Local resolution"),
    )


def directional_numbers(run: RunFolder, species: str, halves: Halves) -> DirectionalFsc:
    """Correlation of the half maps along a hundred directions."""
    curves = read_fsc_star(run.path / species / "fsc.star")
    mask = MaskResult(halves.mask, "density", float(halves.mask.mean()))
    independent = independent_fraction(mask, halves.pixel_size_angstrom, halves.symmetry)
    return directional_fsc(halves.first, halves.second, halves.mask, curves, independent)


def draw_directional(run: RunFolder, species: str, found: DirectionalFsc) -> Part:
    """Draw the range of the curves, and that of the whole map."""
    curves = read_fsc_star(run.path / species / "fsc.star")
    frequency, each = curves.frequency_per_angstrom.numpy(), found.curves.numpy().clip(-0.1, 1.03)
    plot = Plot(spacing_axis(float(frequency[-1])), correlation_axis())
    plot.level(THRESHOLD, f"{THRESHOLD}")
    plot.band(frequency[1:], each.min(0)[1:], each.max(0)[1:], "c6", "all directions")
    quarter, three = np.quantile(each, (0.25, 0.75), axis=0)
    plot.band(frequency[1:], quarter[1:], three[1:], "c1", "half of them")
    plot.line(frequency[1:], curves.corrected.numpy()[1:], "c2", "whole map", width=2.2)
    best, worst = (number(float(v)) for v in (found.resolution_angstrom.min(), found.resolution_angstrom.max()))
    return Part(
        f"directional-{species}",
        f"Resolution by direction, {species}",
        f"FSC in cones about 100 directions: {best} Å along the best, {worst} Å along the worst; one direction is off "
        f"by {number(found.chance_angstrom, 2)} Å by chance. A broad band means that some directions are hardly seen.",
        plot.svg("FSC by direction"),
    )


def map_parts(run: RunFolder) -> tuple[list[Part], list[str]]:
    """Draw what the maps allow, and say what they do not."""
    parts, notes = [], []
    for species in run.species:
        if sections := section_numbers(run, species):
            parts.append(draw_sections(sections, species))
        halves = read_halves(run, species)
        if halves is None:
            notes.append(
                f"{species}: the half maps are gone or agree at no resolution, so that local resolution is not shown."
            )
            continue
        inside = local_numbers(halves, run.path / species / LOCAL_RESOLUTION)
        if inside is None:
            notes.append(
                f"{species}: more than {MOST_VOXELS_LOCAL} voxels lie across the mask; local resolution would take "
                "long and is left to mlit postprocess."
            )
        else:
            parts.append(draw_local(inside, species))
        parts.append(draw_directional(run, species, directional_numbers(run, species, halves)))
    return parts, notes
