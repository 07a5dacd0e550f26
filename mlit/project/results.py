"""The results of a run, written so that they appear complete or not at all."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlit.deformation.imaging import Imaging
from mlit.deformation.series_model import SeriesModel
from mlit.geometry.rotations import euler_from_matrix
from mlit.geometry.trajectory import continuous_euler, resample_trajectory
from mlit.io.atomic import atomic_write
from mlit.io.fsc_star import write_fsc_star
from mlit.io.mrc import write_mrc
from mlit.io.particle_table import ParticleTable
from mlit.likelihood.signal_weights import SignalWeights
from mlit.maps.references import HalfMaps
from mlit.maps.sharpening import filter_and_sharpen
from mlit.project.project import Project, SeriesInput
from mlit.project.xml_geometry import xml_with_geometry
from mlit.project.xml_optics import xml_with_optics
from mlit.project.xml_weights import xml_with_weights

POSE_ERRORS = tuple(f"mlit{kind}Error{axis}" for kind in ("Coordinate", "Rotation") for axis in "XYZ")
PROBABILITY = "mlitProbability"


def write_series(folder: Path, series: SeriesInput, imaging: Imaging, weights: SignalWeights | None = None) -> None:
    """Write the refined XML of a series, with new weights if there are any; what mlit does not own stays as it was.

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
    xml = xml if weights is None else xml_with_weights(xml, weights)
    xml.with_attributes(missing).write(folder / f"{series.name}.xml")


def refined_particles(project: Project, models: Mapping[str, SeriesModel], species: int = 0) -> ParticleTable:
    """Particle table with the poses that the models have for a species.

    All rows get as many samples over the exposure as the models have. Apart from that, rows of series without a model
    keep their poses.
    """
    table = project.particles
    found = {name: model.poses.of_species(species, model.poses.raw.detach()) for name, model in models.items()}
    samples = max([table.samples, *(poses.samples for poses, _ in found.values())])
    position = resample_trajectory(torch.from_numpy(table.position_angstrom), samples).clone()
    euler = resample_trajectory(torch.from_numpy(table.euler_deg), samples).clone()
    for series in project.series:
        if series.name not in found:
            continue
        poses, raw = found[series.name]
        where, turned = poses.at_samples(raw)
        position[series.particle_index] = where
        euler[series.particle_index] = continuous_euler(euler_from_matrix(turned)).rad2deg()
    return dataclasses.replace(table, position_angstrom=position.numpy(), euler_deg=euler.numpy())


def with_errors(
    table: ParticleTable,
    project: Project,
    models: Mapping[str, SeriesModel],
    covariances: Mapping[str, Tensor],
    species: int = 0,
) -> ParticleTable:
    """Add the standard errors of the poses to a particle table, as columns of mlit's own.

    Parameters
    ----------
    table
        The particles.
    project, models
        Where they are, and their parameters.
    covariances
        Of the raw pose parameters of the series that were fitted.
    species
        Which of several species the table holds.
    """
    errors = np.full((table.particles, table.samples, 6), np.nan)
    for series in project.series:
        if series.name in covariances:
            poses, covariance = models[series.name].poses.of_species(species, covariances[series.name])
            shift, turn = poses.errors(covariance)
            errors[series.particle_index.numpy()] = torch.cat([shift, turn.rad2deg()], -1).numpy()
    source = table.source.copy()
    for sample in range(table.samples):
        for place, name in enumerate(POSE_ERRORS):
            source[f"{name}{sample + 1}"] = [f"{value:.5f}" for value in errors[:, sample, place]]
    return dataclasses.replace(table, source=source)


def with_probability(table: ParticleTable, project: Project, probability: Mapping[str, Tensor]) -> ParticleTable:
    """Add the probability that each particle is one, for the series that were fitted."""
    values = np.full(table.particles, np.nan)
    for series in project.series:
        if series.name in probability:
            values[series.particle_index.numpy()] = probability[series.name].numpy()
    source = table.source.assign(**{PROBABILITY: [f"{value:.4f}" for value in values]})
    return dataclasses.replace(table, source=source)


def write_maps(folder: Path, halves: HalfMaps) -> None:
    """Write half maps, their average, its sharpened and Wiener-filtered forms, the mask and the FSC."""
    pixel, maps = halves.pixel_size_angstrom, filter_and_sharpen(halves)
    volumes = {
        "half1": halves.first,
        "half2": halves.second,
        "map": maps.average,
        "map_filtered": maps.filtered,
        "map_sharp": maps.sharp,
        "mask": halves.mask.mask,
    }
    for name, volume in volumes.items():
        write_mrc(folder / f"{name}.mrc", volume.cpu().numpy(), pixel)
    write_fsc_star(folder / "fsc.star", halves.curves)


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write the final figures."""
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(summary, indent=2, allow_nan=True) + "\n", encoding="utf-8")


def content_hash(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
