"""How far metadata are from the truth of a simulated project."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mlit.errors import InputError
from mlit.geometry.rotations import matrix_from_euler, rotvec_from_matrix
from mlit.geometry.symmetry import point_group
from mlit.geometry.trajectory import evaluate_trajectory, normalised_dose
from mlit.io.particle_table import ParticleTable
from mlit.io.particles import read_particles
from mlit.io.warp.settings import WarpSettings, read_settings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.xml_geometry import geometry_from_xml
from mlit.simulation.particle_star import FALSE_PICK_COLUMN
from mlit.simulation.truth_files import TRUTH_FOLDER, species_suffix


@dataclass(frozen=True)
class TruthComparison:
    """Errors over all molecules and all tilts that are good, after the map's own frame was matched.

    A refined map may sit shifted and turned in its box; every particle then is off by the same vector and
    rotation in the map's frame, which is no error. The best such shift and the mean rotation are taken out.

    Attributes
    ----------
    position_rms_angstrom, position_median_angstrom
        Distance of particles from their true places in the tilt images.
    orientation_rms_deg, orientation_median_deg
        Angle to the true orientation in the tilts, modulo the molecule's symmetry.
    defocus_rms_nm
        Error of the particles' defocus, the sign of depth included.
    observations
        Number of particles times tilts.
    """

    position_rms_angstrom: float
    position_median_angstrom: float
    orientation_rms_deg: float
    orientation_median_deg: float
    defocus_rms_nm: float
    observations: int


@dataclass(frozen=True)
class Observations:
    """Particles as seen in tilts.

    Attributes
    ----------
    xy_angstrom, defocus_um
        Places and defoci in the images.
    rotation
        Reference to observer frame.
    """

    xy_angstrom: Float[Tensor, "observation 2"]
    defocus_um: Float[Tensor, " observation"]
    rotation: Float[Tensor, "observation 3 3"]


def compare_to_truth(project_dir: Path, xml_dir: Path, particles_star: Path, species: int = 0) -> TruthComparison:
    """Judge metadata of a simulated project.

    Parameters
    ----------
    project_dir
        Simulated project with its ``truth/`` folder.
    xml_dir
        Folder with the tilt-series XML to judge; all series of the truth must be there.
    particles_star
        Particle table to judge, rows in the order of the project's.
    species
        Which species the table holds, counted from 0.

    Raises
    ------
    InputError
        If files are missing or the particle rows are not those of the project.
    """
    truth = project_dir / TRUTH_FOLDER
    names = sorted(path.stem for path in (truth / "warp").glob("*.xml"))
    if not names:
        raise InputError(f"{truth / 'warp'}: no truth here; give the folder of a simulated project")
    settings = read_settings(project_dir / "warp_tiltseries.settings")
    true_table = _read_table(truth / f"particles{species_suffix(species)}.star", settings)
    table = _read_table(particles_star, settings)
    if not np.array_equal(table.series_name, true_table.series_name):
        raise InputError(f"{particles_star}: rows are not those of the project's particles.star; keep their order")
    molecule = _molecules(true_table)
    got, true = [], []
    for name in names:
        rows = molecule & torch.as_tensor(true_table.series_name == name)
        true_xml = TiltSeriesXml.read(truth / "warp" / f"{name}.xml")
        good = torch.as_tensor(true_xml.use_tilt)
        true.append(_observe(true_xml, true_table, rows, settings, good))
        got.append(_observe(TiltSeriesXml.read(xml_dir / f"{name}.xml"), table, rows, settings, good))
    return compare_observations(_joined(got), _joined(true), point_group(_symmetry(truth / "meta.json", species)))


def compare_observations(
    got: Observations, true: Observations, operators: Float[Tensor, "operator 3 3"]
) -> TruthComparison:
    """Errors of observations after the map's frame was matched; see :class:`TruthComparison`.

    Parameters
    ----------
    got, true
        The same particles in the same tilts.
    operators
        Point group of the molecule.
    """
    residual, true_rotation = _reduce_by_symmetry(true.rotation, got.rotation, operators)
    mean = _mean_rotation(residual)
    angle = torch.rad2deg(rotvec_from_matrix(residual @ mean.T).norm(dim=-1))
    design = true_rotation[:, :2].reshape(-1, 3)
    offset = (got.xy_angstrom - true.xy_angstrom).reshape(-1, 1)
    shift = torch.linalg.lstsq(design, offset, driver="gelsd").solution
    distance = (offset - design @ shift).reshape(-1, 2).norm(dim=-1)
    return TruthComparison(
        position_rms_angstrom=float(distance.square().mean().sqrt()),
        position_median_angstrom=float(distance.median()),
        orientation_rms_deg=float(angle.square().mean().sqrt()),
        orientation_median_deg=float(angle.median()),
        defocus_rms_nm=float((got.defocus_um - true.defocus_um).square().mean().sqrt() * 1e3),
        observations=len(distance),
    )


def _reduce_by_symmetry(
    true: Float[Tensor, "observation 3 3"],
    got: Float[Tensor, "observation 3 3"],
    operators: Float[Tensor, "operator 3 3"],
) -> tuple[Float[Tensor, "observation 3 3"], Float[Tensor, "observation 3 3"]]:
    """Residual rotation in the map's frame, and the equivalent true rotation nearest to the refined one.

    The nearest copy is sought twice, the second time around the mean rotation that the first has given.
    """
    mean = torch.eye(3, dtype=true.dtype)
    nearest, residual = true, true.mT @ got
    for _ in range(2):
        turned = true.mT @ got @ mean.T
        trace = torch.einsum("gij,oij->og", operators, turned)
        nearest = true @ operators[trace.argmax(-1)]
        residual = nearest.mT @ got
        mean = _mean_rotation(residual)
    return residual, nearest


def _mean_rotation(rotation: Float[Tensor, "observation 3 3"]) -> Float[Tensor, "3 3"]:
    """Rotation nearest to the mean matrix."""
    u, _, vt = torch.linalg.svd(rotation.mean(0))
    flip = torch.ones(3, dtype=rotation.dtype)
    flip[2] = torch.linalg.det(u @ vt)
    return u @ torch.diag(flip) @ vt


def _observe(
    xml: TiltSeriesXml,
    table: ParticleTable,
    rows: Bool[Tensor, " row"],
    settings: WarpSettings,
    good: Bool[Tensor, " tilt"],
) -> Observations:
    """Project the particles of one series with the metadata of one file."""
    if len(good) != xml.tilts:
        raise InputError(f"{xml.path}: has {xml.tilts} tilts, but the truth has {len(good)}; keep all tilts")
    pixels = settings.tomogram_size_angstrom
    geometry = geometry_from_xml(xml, xml.volume_size_angstrom or pixels, xml.image_size_angstrom or pixels[:2])
    fraction = normalised_dose(geometry.dose)
    position = evaluate_trajectory(torch.as_tensor(table.position_angstrom)[rows], fraction)
    euler = evaluate_trajectory(torch.deg2rad(torch.as_tensor(table.euler_deg)[rows]), fraction)
    xy, defocus = geometry.project(position)
    rotation = geometry.orient(matrix_from_euler(euler), position)
    return Observations(xy[:, good].reshape(-1, 2), defocus[:, good].reshape(-1), rotation[:, good].reshape(-1, 3, 3))


def _joined(parts: list[Observations]) -> Observations:
    """Observations of all series."""
    return Observations(
        torch.cat([part.xy_angstrom for part in parts]),
        torch.cat([part.defocus_um for part in parts]),
        torch.cat([part.rotation for part in parts]),
    )


def _read_table(path: Path, settings: WarpSettings) -> ParticleTable:
    pixels = (settings.pixel_size_angstrom, settings.binned_pixel_size_angstrom)
    return read_particles(path, pixels, settings.tomogram_size_angstrom)


def _molecules(true_table: ParticleTable) -> Bool[Tensor, " row"]:
    """Rows that hold a molecule."""
    source = true_table.source
    if FALSE_PICK_COLUMN not in source:
        return torch.ones(len(source), dtype=torch.bool)
    return torch.as_tensor(source[FALSE_PICK_COLUMN].astype(float).to_numpy() == 0)


def _symmetry(meta: Path, species: int) -> str:
    """Point group of the molecule; C1 where the truth does not say."""
    if not meta.is_file():
        return "C1"
    known = json.loads(meta.read_text(encoding="utf-8"))
    return known.get(f"structure{species_suffix(species)}", {}).get("symmetry", "C1")
