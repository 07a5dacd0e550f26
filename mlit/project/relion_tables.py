"""Rows of RELION's tables for what mlit knows; columns of a RELION project that it does not know are carried along."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mlit.deformation.imaging import Imaging
from mlit.geometry.rigid_series import RigidSeries
from mlit.geometry.rotations import euler_from_matrix, matrix_from_euler, zyx_from_matrix
from mlit.io.numbers import format_number
from mlit.io.particle_table import ParticleTable
from mlit.io.relion5.particle_file import EVEN, NAME, ODD
from mlit.io.relion5.tilt_series import ANGLES, DEFOCI, EXPOSURE, IMAGE, SHIFTS, format_vector
from mlit.io.relion5.tomograms import DOSE_BFACTOR, SIZES, SLOPE
from mlit.io.relion_particles import POSE_COLUMNS
from mlit.likelihood.signal_weights import SignalWeights
from mlit.optics.astigmatism import astigmatism_size_and_angle
from mlit.optics.ctf import Optics
from mlit.project.project import Project, SeriesInput
from mlit.project.relion_images import STACK
from mlit.project.relion_weights import BFACTOR, SCALE, relion_factors

SUBTOMOGRAM = tuple(f"rlnTomoSubtomogram{angle}" for angle in ("Rot", "Tilt", "Psi"))
PROBABILITY = "mlitProbability"
OF_OTHER_IMAGES = ("rlnMicrographName", "rlnImageName", "rlnCtfImage", "rlnTomoVisibleFrames")  # that Warp exported
_ANGSTROM = 1e4  # in a µm


@dataclass(frozen=True, eq=False)
class ParticleRows:
    """Particles of a series as they are written.

    Attributes
    ----------
    series : str
        Its name.
    index : ndarray
        Rows of the project's particle table.
    position_angstrom : Tensor "particle 3"
        From the centre of the tomogram.
    orientation : Tensor "particle 3 3"
        Reference to sample.
    """

    series: str
    index: np.ndarray
    position_angstrom: Tensor
    orientation: Tensor


def tilt_rows(
    project: Project, series: SeriesInput, imaging: Imaging, rigid: RigidSeries, weights: SignalWeights
) -> pd.DataFrame:
    """Tilts of a series that are used, one a row, as text; in the order of the file that they came from."""
    geometry = imaging.geometry
    scale, bfactor, _ = relion_factors(weights, geometry.tilt_angle_rad, geometry.dose)
    angle = zyx_from_matrix(rigid.rotation).rad2deg().numpy()
    size, direction = (part.detach().numpy() for part in astigmatism_size_and_angle(imaging.optics.astigmatism_um))
    centre = rigid.defocus_um.numpy()
    values = {
        EXPOSURE: geometry.dose.numpy(),
        **dict(zip(ANGLES, angle.T, strict=True)),
        **dict(zip(SHIFTS, rigid.shift_angstrom.numpy().T, strict=True)),
        DEFOCI[0]: _ANGSTROM * (centre + size / 2),
        DEFOCI[1]: _ANGSTROM * (centre - size / 2),
        "rlnDefocusAngle": np.rad2deg(direction),
        SCALE: scale,
    }
    phase = imaging.optics.phase_shift_rad.detach().rad2deg().numpy()
    if phase.any():
        values["rlnPhaseShift"] = phase
    if bfactor.any():
        values[BFACTOR] = bfactor
    order = file_order(project, series)
    texts = {name: [f"{column[tilt]:.6f}" for tilt in order] for name, column in values.items()}
    return _tilt_table(project, series, order, texts)


def file_order(project: Project, series: SeriesInput) -> np.ndarray:
    """Tilts that are used, in the order of RELION's file if there is one."""
    tilts = np.arange(len(series.use_tilt))
    if project.relion is not None:
        tilts = np.argsort(project.relion.tilt_order[series.name])
    return tilts[series.use_tilt.numpy()[tilts]]


def _tilt_table(project: Project, series: SeriesInput, order: np.ndarray, texts: dict[str, list[str]]) -> pd.DataFrame:
    """Join what mlit says with what the source said of the same tilts."""
    if project.relion is None:
        nominal = -np.rad2deg(series.geometry.tilt_angle_rad.numpy())
        own = {
            IMAGE: [_image_name(series, int(tilt)) for tilt in order],
            "rlnTomoNominalStageTiltAngle": [f"{nominal[tilt]:.6f}" for tilt in order],
        }
        return pd.DataFrame({**own, **texts}, dtype=object)
    source = project.relion.tilts[series.name].table
    rows = project.relion.tilt_order[series.name][order]
    kept = source.iloc[rows].reset_index(drop=True)
    kept = kept.drop(columns=[c for c in ("rlnTomoDeformationCoefficients", "rlnPhaseShift", BFACTOR) if c in kept])
    kept[IMAGE] = [_image_name(series, int(tilt)) for tilt in order]
    return kept.assign(**texts)


def _image_name(series: SeriesInput, tilt: int) -> str:
    path = os.path.abspath(series.image_paths[tilt])
    section = None if series.image_sections is None else series.image_sections[tilt]
    return path if section is None else f"{section + 1:06d}@{path}"


def tomogram_row(
    project: Project, series: SeriesInput, imaging: Imaging, tilt_file: Path, weights: SignalWeights
) -> dict[str, str]:
    """Row of tomograms.star; sizes are even, as programs of RELION disagree about the centre of odd ones."""
    geometry, pixel = imaging.geometry, series.pixel_size_angstrom
    known = {} if project.relion is None else project.relion.tomograms[series.name].row.to_dict()
    dropped = (STACK, SLOPE, DOSE_BFACTOR, "rlnTomoFrameCount")
    row = {str(key): str(value) for key, value in known.items() if key not in dropped}
    even = 2 * (geometry.volume_size_angstrom / pixel / 2).round().long()
    _, _, per_dose = relion_factors(weights, geometry.tilt_angle_rad, geometry.dose)
    row |= {
        "rlnTomoName": series.name,
        **_microscope(imaging.optics),
        "rlnTomoHand": "-1.000000" if geometry.depth_inverted else "1.000000",
        "rlnTomoTiltSeriesPixelSize": format_number(pixel),
        "rlnTomoTiltSeriesStarFile": str(tilt_file),
        **{column: str(int(size)) for column, size in zip(SIZES, even, strict=True)},
    }
    row.setdefault("rlnMicrographOriginalPixelSize", format_number(pixel))
    row["rlnOpticsGroupName"] = row.get("rlnOpticsGroupName", "opticsGroup1")
    if per_dose:
        row[DOSE_BFACTOR] = f"{per_dose:.6f}"
    return row


def _microscope(optics: Optics) -> dict[str, str]:
    values = (optics.voltage_kv, optics.cs_mm, optics.amplitude_contrast)
    names = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")
    return {name: f"{float(value):.6f}" for name, value in zip(names, values, strict=True)}


def optics_row(project: Project, series: SeriesInput, optics: Optics, index: np.ndarray) -> dict[str, str]:
    """Optics group of a series, still without number."""
    groups = [] if project.relion is None else project.relion.particles.optics_rows(index)
    row = {str(key): str(value) for key, value in groups[0].items()} if groups else {}
    for column in (EVEN, ODD):
        row.pop(column, None)
    row |= {**_microscope(optics), "rlnTomoTiltSeriesPixelSize": format_number(series.pixel_size_angstrom)}
    even, odd = (part.detach().numpy() for part in (optics.zernike_even_rad, optics.zernike_odd_rad))
    if even.any():
        row[EVEN] = format_vector(np.concatenate([[0.0], even]))
    if odd.any():
        row[ODD] = format_vector(0.0 - odd)
    return row


def particle_blocks(
    project: Project, particles: ParticleTable, rows: Sequence[ParticleRows], optics: Sequence[dict[str, str]]
) -> dict[str, pd.DataFrame]:
    """Tables of particles.star, particles in the order of the input."""
    groups = list(dict.fromkeys(tuple(sorted(_unnumbered(row).items())) for row in optics))
    number = [groups.index(tuple(sorted(_unnumbered(row).items()))) + 1 for row in optics]
    columns = list(dict.fromkeys(column for row in optics for column in row))
    first = {n: row for row, n in zip(reversed(optics), reversed(number), strict=True)}
    table = [_numbered(first[n], n, len(groups)) for n in sorted(first)]
    columns = list(dict.fromkeys(["rlnOpticsGroup", "rlnOpticsGroupName", *columns]))
    parts = [_particles(project, particles, one, group) for one, group in zip(rows, number, strict=True)]
    order = np.argsort(np.concatenate([one.index for one in rows]))
    joined = pd.concat(parts, ignore_index=True).iloc[order].reset_index(drop=True)
    general = pd.DataFrame({"rlnTomoSubTomosAre2DStacks": ["1"]}, dtype=object)
    general.attrs["star_list"] = True
    source = {} if project.relion is None else project.relion.particles.blocks
    blocks = {"general": source.get("general", general)}
    blocks["optics"] = pd.DataFrame([[row.get(c, "None") for c in columns] for row in table], columns=columns)
    blocks |= {name: block for name, block in source.items() if name not in ("general", "optics", "particles")}
    return {**blocks, "particles": joined}


def _unnumbered(row: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in row.items() if key != "rlnOpticsGroup"}


def _numbered(row: dict[str, str], number: int, count: int) -> dict[str, str]:
    """Give an optics group its number, and a name of its own where there are several."""
    name = row.get("rlnOpticsGroupName", "opticsGroup1")
    own = name if count == 1 or "rlnOpticsGroupName" in row else f"opticsGroup{number}"
    return {**row, "rlnOpticsGroup": str(number), "rlnOpticsGroupName": own}


def _particles(project: Project, particles: ParticleTable, rows: ParticleRows, group: int) -> pd.DataFrame:
    """Particles of one series."""
    source = particles.source.iloc[rows.index].reset_index(drop=True)
    orientation = rows.orientation
    if all(column in source for column in SUBTOMOGRAM):
        given = source[list(SUBTOMOGRAM)].to_numpy().astype(np.float64)
        orientation = matrix_from_euler(torch.from_numpy(given).deg2rad()).transpose(-1, -2) @ orientation
    euler = euler_from_matrix(orientation).rad2deg().numpy()
    names = particle_names(project, rows)
    place = rows.position_angstrom.numpy()
    own = {
        "rlnTomoName": [rows.series] * len(names),
        NAME: names,
        **{f"rlnCenteredCoordinate{axis}Angst": [f"{v:.6f}" for v in place[:, i]] for i, axis in enumerate("XYZ")},
        **{f"rlnOrigin{axis}Angst": ["0.000000"] * len(names) for axis in "XYZ"},
        **{f"rlnAngle{axis}": [f"{v:.6f}" for v in euler[:, i]] for i, axis in enumerate(("Rot", "Tilt", "Psi"))},
        "rlnRandomSubset": [str(int(half)) for half in particles.half_set[rows.index]],
        "rlnOpticsGroup": [str(group)] * len(names),
    }
    superseded = {*POSE_COLUMNS} - {*SUBTOMOGRAM} - {*own}
    kept = source.drop(columns=[c for c in source if c in superseded or _is_strange(str(c))])
    if project.relion is not None:
        return kept.assign(**own)
    kept = kept.drop(columns=[*own, *OF_OTHER_IMAGES], errors="ignore")
    return pd.concat([pd.DataFrame(own, dtype=object), kept], axis=1)


def _is_strange(column: str) -> bool:
    """Whether a column is of Warp, M or mlit, and says nothing to RELION or to its user."""
    return column.startswith(("wrp", "mlit")) and column != PROBABILITY


def particle_names(project: Project, rows: ParticleRows) -> list[str]:
    """Names of particles: as they were, else series and number in it."""
    if project.relion is None:
        return [f"{rows.series}/{number + 1}" for number in range(len(rows.index))]
    names = project.relion.particles.names()
    return [names[row] for row in rows.index]
