"""A project or a result of mlit for RELION 5.

RELION turns and shifts the sample as a whole in each tilt. All that bends it, and tilts that turn in ways of their own,
becomes motion of the particles (motion.star). Every file name that is written is absolute, so that RELION can be
started anywhere.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mlit.deformation.imaging import Imaging
from mlit.errors import InputError
from mlit.geometry.rigid_series import RigidSeries, rigid_series
from mlit.geometry.rotations import matrix_from_euler
from mlit.geometry.trajectory import continuous_euler, evaluate_trajectory, normalised_dose
from mlit.io.csv_table import write_csv
from mlit.io.particle_table import ParticleTable
from mlit.io.relion5 import optimisation_set as opt
from mlit.io.relion5.particle_file import NAME
from mlit.io.relion5.tilt_series import write_tilt_table
from mlit.io.relion5.tomograms import write_tomograms
from mlit.io.relion5.trajectories import write_trajectories
from mlit.io.star import write_star
from mlit.likelihood.signal_weights import SignalWeights
from mlit.project.project import Project, SeriesInput
from mlit.project.relion_tables import (
    ParticleRows,
    file_order,
    optics_row,
    particle_blocks,
    particle_names,
    tilt_rows,
    tomogram_row,
)

LOG = logging.getLogger("mlit")
FOLDER = "relion"


@dataclass(frozen=True)
class Losses:
    """What RELION's files cannot hold of one series, all root mean squares over its images.

    Attributes
    ----------
    motion_angstrom
        Not lost but carried by trajectories: how far particles are off without motion.star.
    orientation_deg
        Turns of single particles in single tilts.
    orientation_angstrom
        The same as a shift at the rim of the molecule; nan where its diameter is not known.
    defocus_angstrom
        Depth of particles that move along the beam.
    magnification_angstrom
        Magnification of the molecule, as a shift at its rim.
    weights
        Relative: weights of places, and B factors that depend on direction; 1 where there are any.
    """

    motion_angstrom: float
    orientation_deg: float
    orientation_angstrom: float
    defocus_angstrom: float
    magnification_angstrom: float
    weights: float


def write_relion(
    folder: Path,
    project: Project,
    particles: ParticleTable,
    imaging: Mapping[str, Imaging] | None = None,
    weights: Mapping[str, SignalWeights] | None = None,
    diameter_angstrom: float | None = None,
) -> dict[str, Losses]:
    """Write series and particles as an optimisation set of RELION 5.

    Tilts that are not used, and particles with a weight of 0, are left out: RELION has no other way to leave them
    alone.

    Parameters
    ----------
    folder : Path
        Where to write `optimisation_set.star`, `tomograms.star`, `tilt_series/`, `particles.star`, `motion.star` and
        `losses.csv`.
    project : Project
        What was read.
    particles : ParticleTable
        Poses, with the rows of the project's table.
    imaging, weights : mapping, optional
        Refined geometry, optics and weights of series; where none are given, those that were read. Series that are not
        in `imaging`, if it is given, are not written.
    diameter_angstrom : float, optional
        Of the molecule, to say what losses mean.

    Returns
    -------
    dict of str to Losses
        By name of the series.
    """
    folder = folder.absolute()
    written: dict[str, _Written] = {}
    for one in project.series:
        if imaging is None or one.name in imaging:
            index = one.particle_index.numpy()
            index = index[particles.weight[index] > 0]
            if not len(index):
                LOG.warning("%s: none of its particles counts; it is left out of %s", one.name, folder)
                continue
            state = Imaging(one.geometry, one.optics) if imaging is None else imaging[one.name]
            strength = (weights or {}).get(one.name, one.weights)
            rigid = _rigid(one, state, particles, index)
            written[one.name] = _write_series(folder, project, one, state, strength, rigid, index)
    if not written:
        raise InputError(f"{folder}: nothing to write for RELION: no particle of any series counts")
    found = list(written.values())
    write_tomograms(folder / "tomograms.star", [one.tomogram for one in found])
    blocks = particle_blocks(project, particles, [one.rows for one in found], [one.optics for one in found])
    write_star(folder / "particles.star", blocks)
    paths = {name: path for one in found for name, path in one.motion.items()}
    write_trajectories(folder / "motion.star", {name: paths[name] for name in blocks["particles"][NAME]})
    _write_set(folder)
    losses = {
        one.name: _losses(one, written[one.name], diameter_angstrom) for one in project.series if one.name in written
    }
    _report(folder, losses)
    return losses


@dataclass(frozen=True, eq=False)
class _Written:
    """A series whose tilts are written, and what the files that series share need of it."""

    imaging: Imaging
    weights: SignalWeights
    rigid: RigidSeries
    tomogram: dict[str, str]
    optics: dict[str, str]
    rows: ParticleRows
    motion: dict[str, np.ndarray]


def _write_series(
    folder: Path,
    project: Project,
    series: SeriesInput,
    imaging: Imaging,
    weights: SignalWeights,
    rigid: RigidSeries,
    index: np.ndarray,
) -> _Written:
    """Write the tilts of a series."""
    file = folder / "tilt_series" / f"{series.name}.star"
    write_tilt_table(file, series.name, tilt_rows(project, series, imaging, rigid, weights))
    rows = ParticleRows(series.name, index, rigid.position_angstrom, rigid.orientation)
    motion = rigid.motion_angstrom.numpy()[:, file_order(project, series)]
    return _Written(
        imaging,
        weights,
        rigid,
        tomogram_row(project, series, imaging, file, weights),
        optics_row(project, series, imaging.optics, index),
        rows,
        dict(zip(particle_names(project, rows), motion, strict=True)),
    )


def _rigid(series: SeriesInput, imaging: Imaging, particles: ParticleTable, index: np.ndarray) -> RigidSeries:
    """Express a series as RELION sees it."""
    geometry = imaging.geometry
    position = torch.from_numpy(particles.position_angstrom[index])
    euler = torch.from_numpy(particles.euler_deg[index]).deg2rad()
    if particles.samples == 1:
        place, turned = position[:, 0], matrix_from_euler(euler[:, 0])
    else:
        time = normalised_dose(geometry.dose)
        place = evaluate_trajectory(position, time)
        turned = matrix_from_euler(evaluate_trajectory(continuous_euler(euler), time))
    pixels = torch.tensor(series.image_size_px, dtype=torch.float64)
    centre = (pixels / 2).floor() * series.pixel_size_angstrom
    return rigid_series(geometry, place, turned, centre, series.use_tilt)


def _losses(series: SeriesInput, written: _Written, diameter_angstrom: float | None) -> Losses:
    rigid, weights, used = written.rigid, written.weights, series.use_tilt
    radius = np.nan if diameter_angstrom is None else diameter_angstrom / 2
    angle = _rms(rigid.lost_angle_rad[:, used])
    identity = torch.eye(2, dtype=torch.float64)
    stretched = float((written.imaging.geometry.magnification - identity).norm()) / 2**0.5
    return Losses(
        motion_angstrom=_rms(rigid.motion_angstrom[:, used].norm(dim=-1)),
        orientation_deg=float(np.rad2deg(angle)),
        orientation_angstrom=angle * radius,
        defocus_angstrom=1e4 * _rms(rigid.lost_defocus_um[:, used]),
        magnification_angstrom=stretched * radius if stretched else 0.0,
        weights=float(weights.places is not None or weights.anisotropy_angstrom2 is not None),
    )


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def _write_set(folder: Path) -> None:
    files = {opt.PARTICLES: "particles.star", opt.TOMOGRAMS: "tomograms.star", opt.TRAJECTORIES: "motion.star"}
    opt.write_optimisation_set(
        folder / "optimisation_set.star", {label: str(folder / name) for label, name in files.items()}
    )


def _report(folder: Path, losses: Mapping[str, Losses]) -> None:
    """Write what could not be carried as a table, and say what matters."""
    columns = [field.name for field in fields(Losses)]
    rows = ((name, *(f"{getattr(lost, column):.4f}" for column in columns)) for name, lost in losses.items())
    write_csv(folder / "losses.csv", ("series", *columns), rows)
    for name, lost in losses.items():
        LOG.info(
            "%s for RELION: motion %.2f Å rms; not carried: orientation %.3f°, defocus %.1f Å, magnification %.2f Å%s",
            name,
            lost.motion_angstrom,
            lost.orientation_deg,
            lost.defocus_angstrom,
            lost.magnification_angstrom,
            ", weights of places or directions" if lost.weights else "",
        )
