"""How far particles and tilts have moved between two versions of their files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mlit.errors import InputError
from mlit.geometry.rotations import matrix_from_euler, rotvec_from_matrix
from mlit.geometry.trajectory import resample_trajectory
from mlit.io.particle_table import ParticleTable
from mlit.io.particles import read_particles
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.xml_geometry import geometry_from_xml

_GRID = (5, 5, 3)  # points along x, y, z at which images are compared


@dataclass(frozen=True)
class Spread:
    """Root mean square, median and largest of some distances."""

    rms: float
    median: float
    largest: float

    @classmethod
    def of(cls, distance: Tensor) -> "Spread":
        """Sum up distances of any shape."""
        return cls(float(distance.square().mean().sqrt()), float(distance.median()), float(distance.max()))


@dataclass(frozen=True)
class Move:
    """What has moved in one series.

    Attributes
    ----------
    name : str
        The series.
    entries : int
        Particles or tilts.
    shift_angstrom, turn_deg : Spread
        How far they are from where they were.
    defocus_um : Spread, optional
        Change of defocus; tilts only.
    """

    name: str
    entries: int
    shift_angstrom: Spread
    turn_deg: Spread
    defocus_um: Spread | None = None


def particle_moves(before: Path, after: Path) -> list[Move]:
    """Compare two particle tables row by row, series by series.

    Turns are between the poses as they stand: one to an equivalent pose of a symmetric particle counts in full.

    Raises
    ------
    InputError
        If a table cannot be read without its project, or a series has another number of rows.
    """
    first, second = read_particles(before), read_particles(after)
    names = sorted(set(first.series_name) & set(second.series_name))
    return [_particle_move(name, first, second) for name in names]


def _particle_move(name: str, first: ParticleTable, second: ParticleTable) -> Move:
    rows = [np.flatnonzero(table.series_name == name) for table in (first, second)]
    if len(rows[0]) != len(rows[1]):
        raise InputError(f"{name} has {len(rows[0])} particles in one and {len(rows[1])} in the other")
    samples = max(first.samples, second.samples)
    tables = list(zip((first, second), rows, strict=True))
    where = [resample_trajectory(torch.from_numpy(t.position_angstrom[r]), samples) for t, r in tables]
    euler = [resample_trajectory(torch.from_numpy(t.euler_deg[r]), samples) for t, r in tables]
    shift = torch.linalg.vector_norm(where[1] - where[0], dim=-1)
    turn = _angle_deg(*(matrix_from_euler(value.deg2rad()) for value in euler))
    return Move(name, len(rows[0]), Spread.of(shift), Spread.of(turn))


def tilt_move(name: str, before: Path, after: Path) -> Move:
    """Compare two tilt-series XML files by how their images show points all over the volume.

    Offsets, angles, image and volume warps all count in the shift, stage angles in the turn, depth in the defocus.

    Raises
    ------
    InputError
        If they do not describe the same tilts, or lack the sizes of volume and images.
    """
    files = [TiltSeriesXml.read(path) for path in (before, after)]
    volume, image = files[1].volume_size_angstrom, files[1].image_size_angstrom
    if volume is None or image is None:
        raise InputError(f"{name} lacks the sizes of its volume or images")
    first, second = (geometry_from_xml(xml, volume, image) for xml in files)
    if first.tilts != second.tilts:
        raise InputError(f"{name} has {first.tilts} tilts in one and {second.tilts} in the other")
    axes = [torch.linspace(0, size, count, dtype=torch.float64) for size, count in zip(volume, _GRID, strict=True)]
    points = torch.cartesian_prod(*axes)
    seen = [geometry.project(points) for geometry in (first, second)]
    upright = torch.eye(3, dtype=torch.float64).expand(len(points), 3, 3)
    turned = [geometry.orient(upright, points) for geometry in (first, second)]
    return Move(
        name,
        first.tilts,
        Spread.of(torch.linalg.vector_norm(seen[1].xy_angstrom - seen[0].xy_angstrom, dim=-1)),
        Spread.of(_angle_deg(*turned)),
        Spread.of((seen[1].defocus_um - seen[0].defocus_um).abs()),
    )


def _angle_deg(first: Tensor, second: Tensor) -> Tensor:
    return torch.linalg.vector_norm(rotvec_from_matrix(first.mT @ second), dim=-1).rad2deg()
