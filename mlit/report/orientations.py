"""From which sides the particles are seen: a map of directions, and a file for ChimeraX."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mlit.geometry.rotations import matrix_from_euler
from mlit.io.atomic import atomic_write
from mlit.io.mrc import read_mrc_header
from mlit.maps.directions import even_directions
from mlit.report.axis import Axis, number
from mlit.report.heat_map import HeatMap
from mlit.report.page import Part
from mlit.report.run_folder import RunFolder
from mlit.report.svg import BOTTOM, LEFT, RIGHT, TOP, Plot
from mlit.report.tilt_numbers import BELIEVED, particle_columns

PER_CELL = 4.0  # directions that a cell should hold on average
MOST_ROWS, LEAST_ROWS = 18, 4
BILD = "angular_distribution.bild"
BILD_DIRECTIONS = 400  # over half a sphere


@dataclass(frozen=True)
class Distribution:
    """How often each direction occurs, over what would be even; cells are equal in area.

    Attributes
    ----------
    ratio
        Rows from the direction −z to +z in equal steps of the cosine, columns from −180° to 180° about z.
    particles
        How many were counted.
    """

    ratio: np.ndarray
    particles: int


def view_directions(run: RunFolder, species: str) -> Float[Tensor, "direction 3"]:
    """Directions of the axis of the microscope in the frame of the map, of every believed particle and symmetry copy.

    A pose takes vectors of the map to the sample, so the axis of the microscope is the last row of its matrix.
    """
    table = particle_columns(run, species)
    table = table[table["probability"] >= BELIEVED]
    euler = torch.from_numpy(np.deg2rad(table[["rot", "tilt", "psi"]].to_numpy(float)))
    seen = matrix_from_euler(euler)[:, 2]
    group = run.symmetry(species).point_group.to(seen)
    return torch.einsum("gij,pj->gpi", group, seen).reshape(-1, 3)


def distribution(directions: Float[Tensor, "direction 3"], copies: int = 1) -> Distribution | None:
    """Sort directions into cells; as many cells as their number allows. None where there are none."""
    if not len(directions):
        return None
    rows = int(min(max(math.sqrt(len(directions) / PER_CELL / 2), LEAST_ROWS), MOST_ROWS))
    x, y, z = directions.T.numpy()
    counts, _, _ = np.histogram2d(
        z, np.arctan2(y, x), bins=(rows, 2 * rows), range=((-1 - 1e-9, 1 + 1e-9), (-math.pi, math.pi + 1e-9))
    )
    return Distribution(counts / counts.mean(), len(directions) // copies)


def draw_distribution(found: Distribution, species: str) -> Part:
    """Draw the map of directions."""
    rows, columns = found.ratio.shape
    x = Axis("angle about z of the map, °", -180, 180, tuple((v, number(v)) for v in (-180, -90, 0, 90, 180)))
    levels = tuple((math.cos(math.radians(a)), str(a)) for a in (0, 45, 90, 135, 180))
    plot = Plot(x, Axis("angle from z of the map, °", -1, 1, levels))
    highest = max(2.0, float(np.quantile(found.ratio, 0.98)))
    scale = HeatMap((), np.zeros((0, 0)), 0.0, highest, "", ())
    wide, tall = (plot.width - LEFT - RIGHT) / columns, (plot.height - TOP - BOTTOM) / rows
    for row, column in np.ndindex(rows, columns):
        value = float(found.ratio[row, column])
        plot.marks.append(
            f'<rect fill="{scale.colour(value)}" x="{LEFT + column * wide:.2f}" '
            f'y="{plot.height - BOTTOM - (row + 1) * tall:.2f}" width="{wide + 0.3:.2f}" height="{tall + 0.3:.2f}">'
            f"<title>{number(value)} × even</title></rect>"
        )
    empty = float((found.ratio == 0).mean())
    return Part(
        f"angular-distribution-{species}",
        f"Directions of view, {species}",
        f"Where the axis of the microscope (at tilt 0) points in the frame of the map, of {found.particles} particles "
        f"and their symmetry copies. Cells are equal in area: dark 0, bright {number(highest)} times what would be "
        f"even; {number(100 * empty, 2)} % are empty. Tilting fills gaps of up to the highest tilt.",
        plot.svg("Directions of view"),
    )


def write_bild(path: Path, directions: Float[Tensor, "direction 3"], radius_angstrom: float, map_path: Path) -> None:
    """Write cylinders around a map, for ChimeraX: the longer, the more particles are seen from there.

    Parameters
    ----------
    path
        The file.
    directions
        Unit vectors in the frame of the map.
    radius_angstrom
        Of the sphere that the cylinders stand on.
    map_path
        The map, about whose centre they stand.
    """
    header = read_mrc_header(map_path)
    pixel, box = header.pixel_size_angstrom or 1.0, header.shape[0]
    half = even_directions(BILD_DIRECTIONS)
    axes = torch.cat([half, -half])
    nearest = torch.cat([(part @ axes.T).argmax(1) for part in directions.to(axes).split(4096)])
    counts = torch.bincount(nearest, minlength=len(axes))
    share = counts / counts.max().clamp(min=1)
    centre = torch.full((3,), (box // 2) * pixel, dtype=torch.float64)
    width = 0.6 * radius_angstrom * math.sqrt(4 * math.pi / len(axes)) / 2
    lines = []
    for axis, part in zip(axes, share.tolist(), strict=True):
        if part > 0:
            foot, top = (centre + axis * radius_angstrom * reach for reach in (1.05, 1.05 + 0.5 * part))
            places = " ".join(f"{v:.2f}" for v in (*foot.tolist(), *top.tolist()))
            lines += [f".color {part:.3f} {0.3 + 0.3 * part:.3f} {1 - part:.3f}", f".cylinder {places} {width:.2f}"]
    with atomic_write(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="ascii")


def orientation_parts(run: RunFolder) -> list[Part]:
    """Draw the distribution of every species, and write it beside its maps."""
    parts = []
    for species in run.species:
        directions = view_directions(run, species)
        copies = len(run.symmetry(species).point_group)
        found = distribution(directions, copies)
        if found is None:
            continue
        parts.append(draw_distribution(found, species))
        map_path, diameter = run.path / species / "map.mrc", run.of_species(species, "diameter", None)
        if map_path.is_file() and diameter is not None:
            write_bild(run.path / species / BILD, directions, float(diameter) / 2, map_path)
    return parts
