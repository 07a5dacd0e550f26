"""Phases that the optics add to all images of a series, over the Fourier plane."""

import base64
import io
from dataclasses import dataclass, replace

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.image import imsave

from mlit.io.fsc_star import read_fsc_star
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.optics.ctf import Optics
from mlit.project.xml_optics import optics_from_xml
from mlit.report.axis import Axis, linear_axis, number
from mlit.report.figures import THRESHOLD
from mlit.report.page import Part
from mlit.report.run_folder import RunFolder
from mlit.report.svg import BOTTOM, LEFT, RIGHT, TOP, Plot, image

GRID = 129  # pixels along an edge
SIDE = 260.0  # px of the page
SCALE = "PuOr"  # told apart by colour-blind eyes; white is zero
BAR_STEPS = 13
LEAST_DEG = 0.05  # at the edge: less shows nothing
BLOCKS = {"odd": "odd_aberrations", "even": "even_aberrations"}
CAPTIONS = {
    "odd": "What beam tilt (coma) and threefold astigmatism add, with the sign that takes it away from the images.",
    "even": "What fourfold and higher astigmatism adds to the argument of the CTF; defocus, astigmatism of single "
    "tilts and Cs are not in it.",
}


@dataclass(frozen=True)
class AberrationPhase:
    """Phase over the Fourier plane, the mean over the series.

    Attributes
    ----------
    kind
        ``odd`` or ``even``.
    phase_deg
        Rows along ky, columns along kx, both from low to high; not a number beyond the highest frequency.
    highest_per_angstrom
        Frequency at the edge.
    scatter_deg
        Root mean square over plane and series of what single series differ from the mean by.
    series
        How many there are.
    refined
        Whether the run has refined it; else it is as the metadata had it.
    """

    kind: str
    phase_deg: np.ndarray
    highest_per_angstrom: float
    scatter_deg: float
    series: int
    refined: bool


def aberration_numbers(run: RunFolder) -> list[AberrationPhase]:
    """Odd and even phases to the resolution of the finest map; those that are zero in all series are left out."""
    optics = [
        optics_from_xml(TiltSeriesXml.read(path)) for path in sorted((run.path / "warp_tiltseries").glob("*.xml"))
    ]
    curves = [read_fsc_star(path) for one in run.species if (path := run.path / one / "fsc.star").is_file()]
    if not optics or not curves:
        return []
    highest = max(min(1 / c.resolution_angstrom(THRESHOLD), float(c.frequency_per_angstrom[-1])) for c in curves)
    names = {name for table in run.parameters.values() for name in table["block"].unique()}
    found = []
    for kind in BLOCKS:
        phases = np.rad2deg(np.stack([phase_of(one, kind, highest) for one in optics]))
        if np.nanmax(np.abs(phases)) >= LEAST_DEG:
            mean = phases.mean(0)
            scatter = float(np.sqrt(np.nanmean((phases - mean) ** 2)))
            found.append(AberrationPhase(kind, mean, highest, scatter, len(optics), BLOCKS[kind] in names))
    return found


def phase_of(optics: Optics, kind: str, highest_per_angstrom: float) -> np.ndarray:
    """Phase (radians) of the Zernike terms of one series over the Fourier plane, see :class:`AberrationPhase`."""
    along = torch.linspace(-highest_per_angstrom, highest_per_angstrom, GRID, dtype=torch.float64)
    ky, kx = torch.meshgrid(along, along, indexing="ij")
    frequency = torch.stack([kx, ky], -1)
    if kind == "odd":
        phase = optics.odd_phase(frequency)
    else:
        zero = torch.zeros(1, dtype=torch.float64)
        plain = replace(
            optics, cs_mm=0.0, amplitude_contrast=0.0, astigmatism_um=torch.zeros(1, 2).double(), phase_shift_rad=zero
        )
        phase = plain.static_phase(frequency)[0]
    return torch.where(frequency.norm(dim=-1) <= highest_per_angstrom * (1 + 1e-9), phase, torch.nan).numpy()


def draw_aberrations(found: AberrationPhase) -> Part:
    """Draw the phase in colour, rings of equal resolution and a bar of the scale."""
    highest = found.highest_per_angstrom
    largest = max(float(np.nanmax(np.abs(found.phase_deg))), LEAST_DEG)  # phases of the series may cancel in the mean
    plot = Plot(
        _frequency_axis("kx, 1/Å", highest),
        _frequency_axis("ky, 1/Å", highest),
        width=LEFT + SIDE + RIGHT,
        height=TOP + SIDE + BOTTOM,
    )
    plot.marks.append(
        f'<image x="{LEFT}" y="{TOP}" width="{SIDE}" height="{SIDE}" href="{_coloured(found.phase_deg, largest)}"/>'
    )
    for share in (0.5, 1.0):
        _ring(plot, share, 1 / (share * highest))
    series = f"the mean of {found.series} series, which differ by {number(found.scatter_deg, 2)}° rms"
    whence = "as refined" if found.refined else "as the metadata had it; the run has not refined it"
    return Part(
        f"aberrations-{found.kind}",
        f"{found.kind.capitalize()} aberrations",
        f"{CAPTIONS[found.kind]} Phase {whence}, {series if found.series > 1 else 'of the only series'}; up to "
        f"{number(largest)}° at frequencies to 1/{number(1 / highest)} Å. Rings mark resolutions.",
        f'<div class="square">{plot.svg(f"{found.kind} aberrations")}{_bar(largest)}</div>',
    )


def _frequency_axis(label: str, highest: float) -> Axis:
    ticks = linear_axis(label, (-highest, highest)).ticks
    return Axis(label, -highest, highest, tuple(tick for tick in ticks if abs(tick[0]) <= highest))


def _ring(plot: Plot, share: float, resolution_angstrom: float) -> None:
    x, y, radius = LEFT + SIDE / 2, TOP + SIDE / 2, share * SIDE / 2
    plot.marks.append(f'<circle class="level" cx="{x}" cy="{y}" r="{radius}"/>')
    place = f'x="{x + 0.7071 * radius + 3:.1f}" y="{y - 0.7071 * radius - 3:.1f}"'
    kind = "small strong" if share == 1.0 else "small on-picture"
    plot.marks.append(f'<text class="{kind}" {place}>{number(resolution_angstrom)} Å</text>')


def _coloured(phase_deg: np.ndarray, largest: float) -> str:
    """Return the picture as the address of a PNG, ky upwards, clear where there is no phase."""
    colours = colormaps[SCALE](0.5 + 0.5 * phase_deg / largest)
    colours[~np.isfinite(phase_deg), 3] = 0
    data = io.BytesIO()
    imsave(data, (255 * colours).round().astype(np.uint8), origin="lower", format="png")
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"


def _bar(largest: float) -> str:
    """Draw the scale of colours with its ends and zero in degrees."""
    step = SIDE / BAR_STEPS
    shades = (colormaps[SCALE](value, bytes=True)[:3] for value in np.linspace(0, 1, BAR_STEPS))
    marks = [
        f'<rect fill="rgb({red},{green},{blue})" x="{LEFT + i * step:.1f}" y="2" width="{step + 0.3:.1f}" height="11"/>'
        for i, (red, green, blue) in enumerate(shades)
    ]
    for share, value in ((0.0, -largest), (0.5, 0.0), (1.0, largest)):
        place = f'x="{LEFT + share * SIDE:.1f}" y="27" text-anchor="middle"'
        marks.append(f"<text {place}>{number(value, 2)}°</text>")
    return image("".join(marks), LEFT + SIDE + RIGHT, 34, "scale of the phase")


def aberration_parts(run: RunFolder) -> list[Part]:
    """Draw the phases that are known."""
    return [draw_aberrations(one) for one in aberration_numbers(run)]
