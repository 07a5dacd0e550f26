"""The results of a run, written so that they appear complete or not at all."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlit.deformation.imaging import Imaging
from mlit.deformation.series_model import SeriesModel
from mlit.geometry.rotations import euler_from_matrix, matrix_from_euler
from mlit.io.atomic import atomic_write
from mlit.io.fsc_star import write_fsc_star
from mlit.io.mrc import write_mrc
from mlit.io.particle_table import ParticleTable
from mlit.maps.filters import filter_by_shells, guinier_fit, sharpen
from mlit.maps.fsc import wiener_weights
from mlit.maps.references import HalfMaps
from mlit.project.project import Project, SeriesInput
from mlit.project.xml_geometry import xml_with_geometry
from mlit.project.xml_optics import xml_with_optics


def write_series(folder: Path, series: SeriesInput, imaging: Imaging) -> None:
    """Write the refined XML of a series; what mlit does not own stays as it was.

    Sizes that older files lack are added: every reader of refined grids needs them.
    """
    geometry = imaging.geometry
    xml = xml_with_optics(xml_with_geometry(series.xml, geometry), imaging.optics, series.optics)
    sizes = {
        "VolumeDimensionsAngstrom": (series.xml.volume_size_angstrom, geometry.volume_size_angstrom),
        "ImageDimensionsAngstrom": (series.xml.image_size_angstrom, geometry.image_size_angstrom),
    }
    missing = {
        key: ", ".join(f"{v:.9g}" for v in value.tolist()) for key, (known, value) in sizes.items() if known is None
    }
    xml.with_attributes(missing).write(folder / f"{series.name}.xml")


def refined_particles(project: Project, models: Mapping[str, SeriesModel]) -> ParticleTable:
    """Particle table with the poses of the models; rows of series without a model keep theirs."""
    table = project.particles
    position, euler = table.position_angstrom.copy(), table.euler_deg.copy()
    for series in project.series:
        if series.name not in models:
            continue
        rows = series.particle_index.numpy()
        poses = models[series.name].poses
        start = matrix_from_euler(torch.from_numpy(np.deg2rad(table.euler_deg[rows])))
        where, turned = poses.moved(torch.from_numpy(table.position_angstrom[rows]), start, poses.raw.detach())
        position[rows] = where.numpy()
        euler[rows] = continuous_euler(np.rad2deg(euler_from_matrix(turned).numpy()))
    return dataclasses.replace(table, position_angstrom=position, euler_deg=euler)


def continuous_euler(euler_deg: np.ndarray) -> np.ndarray:
    """Give every sample of a trajectory ``[particle, sample, 3]`` the Euler angles nearest to those before it.

    Readers interpolate the three angles one by one, so a jump by 360° or to the other triple of the same rotation
    (rot + 180°, -tilt, psi + 180°) would turn the particle around on its way.
    """
    out = euler_deg.copy()
    for sample in range(1, out.shape[1]):
        before, now = out[:, sample - 1], out[:, sample]
        twins = np.stack([now, np.stack([now[:, 0] + 180, -now[:, 1], now[:, 2] + 180], -1)])
        twins -= 360 * np.round((twins - before) / 360)
        nearest = np.abs(twins - before).sum(-1).argmin(0)
        out[:, sample] = twins[nearest, np.arange(len(now))]
    return out


def write_maps(folder: Path, halves: HalfMaps) -> None:
    """Write half maps, their average, its sharpened and Wiener-filtered forms, the mask and the FSC."""
    pixel, curves = halves.pixel_size_angstrom, halves.curves
    average = (halves.first + halves.second) / 2
    weights = wiener_weights(curves.corrected, "full", halves.independent_fraction)
    filtered = filter_by_shells(average, weights)
    bfactor = guinier_fit(average * halves.mask.mask, curves.corrected, pixel).bfactor_angstrom2
    sharp = (
        filtered
        if bfactor is None
        else filter_by_shells(sharpen(average, pixel, bfactor, curves.resolution_angstrom(0.143)), weights)
    )
    maps = {
        "half1": halves.first,
        "half2": halves.second,
        "map": average,
        "map_filtered": filtered,
        "map_sharp": sharp,
        "mask": halves.mask.mask,
    }
    for name, volume in maps.items():
        write_mrc(folder / f"{name}.mrc", volume.cpu().numpy(), pixel)
    write_fsc_star(folder / "fsc.star", curves)


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write the final figures."""
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(summary, indent=2, allow_nan=True) + "\n", encoding="utf-8")


def content_hash(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
