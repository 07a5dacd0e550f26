"""Local deformation of the images: arrows over them."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mlit.report.axis import number
from mlit.report.page import Part
from mlit.report.run_folder import RunFolder, Table
from mlit.report.svg import image
from mlit.report.tilt_pictures import picture_path, shown_tilts

MOST_SERIES = 6
PANEL, EDGE, HEAD, FOOT = 200.0, 30.0, 54.0, 42.0  # px
LONGEST = 26.0  # px


@dataclass(frozen=True)
class WarpField:
    """Image warp of one tilt, less its mean.

    Attributes
    ----------
    series, tilt
        Which image; tilts count from 1.
    x, y
        Places of the nodes as fractions of the field.
    shift_angstrom
        Local part at each node, x and y.
    error_angstrom
        Standard error of each node: root mean square over x and y.
    mean_angstrom
        Mean shift, x and y.
    """

    series: str
    tilt: int
    x: np.ndarray
    y: np.ndarray
    shift_angstrom: np.ndarray
    error_angstrom: np.ndarray
    mean_angstrom: np.ndarray


def warp_fields(run: RunFolder) -> tuple[list[WarpField], int]:
    """Return first, middle and last tilt of the series with the largest local warp, and how many have any."""
    warps = {name: table[table["block"] == "image_warp"] for name, table in run.parameters.items()}
    return largest_fields({name: all_fields(name, table) for name, table in warps.items() if not table.empty})


def largest_fields(by_series: dict[str, list[WarpField]]) -> tuple[list[WarpField], int]:
    """Pick first, middle and last tilt of the series with the largest local warp; say how many series have any."""
    fields = {name: found for name, found in by_series.items() if found and len(found[0].x) > 1}
    size = {n: np.sqrt(np.mean([np.mean(f.shift_angstrom**2) for f in found])) for n, found in fields.items()}
    largest = sorted(sorted(fields, key=lambda name: -size[name])[:MOST_SERIES])
    picked = [fields[name][i] for name in largest for i in shown_tilts(len(fields[name]))]
    return picked, len(fields)


def all_fields(series: str, table: Table) -> list[WarpField]:
    """Fields of all tilts of a series from its table of parameters."""
    shape = tuple(int(table[f"at_{axis}"].max()) + 1 for axis in ("tilt", "y", "x", "axis"))
    order = table.sort_values(["at_tilt", "at_y", "at_x", "at_axis"])
    values, errors = (order[name].to_numpy().reshape(shape) for name in ("value", "standard_error"))
    return fields_of(series, values, errors)


def fields_of(series: str, values_angstrom: np.ndarray, errors_angstrom: np.ndarray) -> list[WarpField]:
    """Fields of all tilts of a series from values and standard errors by tilt, y, x and axis."""
    y, x = np.meshgrid(*(_places(n) for n in values_angstrom.shape[1:3]), indexing="ij")
    mean = values_angstrom.mean((1, 2))
    local = values_angstrom - mean[:, None, None]
    return [
        WarpField(
            series,
            tilt + 1,
            x.ravel(),
            y.ravel(),
            local[tilt].reshape(-1, 2),
            np.sqrt((errors_angstrom[tilt] ** 2).mean(-1)).ravel(),
            mean[tilt],
        )
        for tilt in range(len(values_angstrom))
    ]


def _places(nodes: int) -> np.ndarray:
    return np.linspace(0, 1, nodes) if nodes > 1 else np.array([0.5])


def pictures_of(run: RunFolder, fields: list[WarpField]) -> dict[tuple[str, int], bytes]:
    """Read the pictures of those tilts that the run has left one of, as PNG files, by series and tilt."""
    paths = {(one.series, one.tilt): picture_path(run.path, one.series, one.tilt - 1) for one in fields}
    return {key: path.read_bytes() for key, path in paths.items() if path.is_file()}


def draw_warps(fields: list[WarpField], total: int, pictures: Mapping[tuple[str, int], bytes]) -> list[Part]:
    """Draw three tilts of each series, all to one scale, over their pictures where there are any."""
    if not fields:
        return []
    longest = max(float(np.hypot(*field.shift_angstrom.T).max()) for field in fields) or 1.0
    scale = LONGEST / longest
    panels = "".join(_panel(field, scale, pictures.get((field.series, field.tilt))) for field in fields)
    names = {field.series for field in fields}
    some = f"The {len(names)} of {total} series with the largest local warp. " if total > len(names) else ""
    return [
        Part(
            "warps",
            "Local deformation of the images",
            f"{some}First, middle and last tilt of each series. Arrows: change of the image warp (GridMovementX/Y) "
            "since the start, less the mean shift of the tilt; the image content is moved against them. All have one "
            f"scale: the longest is {number(longest)} Å. Arrows shorter than their standard error are faint.",
            f'<div class="panels">{panels}</div>',
            width="wide",
        )
    ]


def _panel(field: WarpField, scale: float, picture: bytes | None) -> str:
    side = PANEL - 2 * EDGE
    height = side if picture is None else side * _aspect(picture)
    place = f'x="{EDGE}" y="{HEAD}" width="{side}" height="{height:.1f}"'
    marks = [f'<rect class="frame" {place}/>']
    if picture is not None:
        marks.insert(0, f'<image {place} href="data:image/png;base64,{base64.b64encode(picture).decode()}"/>')
    for x, y, (dx, dy), error in zip(field.x, field.y, field.shift_angstrom, field.error_angstrom, strict=True):
        left, top = EDGE + x * side, HEAD + (1 - y) * height
        faint = ' class="faint"' if np.hypot(dx, dy) < error else ""
        line = f'<path class="flag" d="{arrow(left, top, dx * scale, -dy * scale)}"/>'
        marks.append(f"<g{faint}>{line}{line}</g>")
    mean = ", ".join(number(float(v), 2) for v in field.mean_angstrom)
    marks.append(f'<text class="label" x="{EDGE}" y="13">{_escaped(field.series)}, tilt {field.tilt}</text>')
    marks.append(f'<text class="small" x="{EDGE}" y="27">mean shift {mean} Å</text>')
    marks.append(
        f'<text x="{EDGE + side / 2}" y="{HEAD + height + FOOT - 6:.1f}" text-anchor="middle">x of the image →</text>'
    )
    turn = f"translate(10 {HEAD + height / 2:.1f}) rotate(-90)"
    marks.append(f'<text transform="{turn}" text-anchor="middle">y →</text>')
    return image("".join(marks), PANEL, HEAD + height + FOOT, f"Image warp of {field.series}, tilt {field.tilt}")


def _aspect(picture: bytes) -> float:
    """Height of a PNG file over its width."""
    width, height = (int.from_bytes(picture[at : at + 4], "big") for at in (16, 20))
    return height / width


def arrow(x: float, y: float, dx: float, dy: float) -> str:
    """Path of an arrow in pixels, y downwards."""
    length = float(np.hypot(dx, dy))
    if length < 1:
        return f"M{x:.1f} {y:.1f}l{dx:.1f} {dy:.1f}"
    ux, uy, head = dx / length, dy / length, min(5.0, 0.5 * length)
    tip_x, tip_y = x + dx, y + dy
    left = f"M{tip_x - head * (ux - 0.6 * uy):.1f} {tip_y - head * (uy + 0.6 * ux):.1f}L{tip_x:.1f} {tip_y:.1f}"
    right = f"L{tip_x - head * (ux + 0.6 * uy):.1f} {tip_y - head * (uy - 0.6 * ux):.1f}"
    return f"M{x:.1f} {y:.1f}L{tip_x:.1f} {tip_y:.1f}{left}{right}"


def _escaped(name: str) -> str:
    short = name if len(name) <= 16 else f"…{name[-15:]}"
    return short.replace("&", "&amp;").replace("<", "&lt;")
