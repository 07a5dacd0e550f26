"""Write what a run has found."""

import logging
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from mlit.deformation.series_model import SeriesModel
from mlit.io.particle_table import ParticleTable
from mlit.io.particles import write_particles
from mlit.likelihood.signal_weights import SignalWeights
from mlit.maps.subsets import Subsets
from mlit.project.parameter_table import write_parameters
from mlit.project.project import Project, SeriesInput
from mlit.project.relion_export import FOLDER, write_relion
from mlit.project.results import (
    content_hash,
    refined_particles,
    with_errors,
    with_probability,
    write_maps,
    write_series,
    write_summary,
)
from mlit.project.subsets_table import write_subsets
from mlit.project.suspects import Suspect, count_kinds, find_bad_tilts, find_false_picks, write_suspects
from mlit.project.tilts_table import tilt_rows, write_tilts
from mlit.project.weights_table import normalised, write_weights
from mlit.training.denoise_run import write_denoised
from mlit.training.module import RefinementModule
from mlit.training.series_status import summary_of_fits
from mlit.training.species_configs import species_configs

LOG = logging.getLogger("mlit")
SUSPECTS = "suspects.csv"
TILTS = "tilts.csv"
SUBSETS = "subsets.csv"
WEIGHTS = "weights.csv"


def write_results(
    output: Path, projects: Sequence[Project], module: RefinementModule, cfg: DictConfig, seconds: float
) -> None:
    """Write metadata, poses, maps and the summary."""
    statuses = {name: record.status for name, record in module.records.items()}
    left_out = {name: s.reason_left_out for name, s in statuses.items() if s.reason_left_out is not None}
    used = [series for series in projects[0].series if series.name not in left_out]
    models = {series.name: module.model(series.name) for series in used}
    weights = report_weights(output, used, module)
    for series in used:
        write_series(output / "warp_tiltseries", series, models[series.name].imaging(), weights.get(series.name))
        if errors := module.records[series.name].errors:
            write_parameters(output / "parameters" / f"{series.name}.csv", models[series.name], errors)
    suspects = report_suspects(output, projects, used, module)
    species = {
        configured.species.name: write_species(output, project, module, number, models, weights)
        for number, (configured, project) in enumerate(zip(species_configs(cfg), projects, strict=True))
    }
    write_summary(
        output / "summary.json",
        {
            "species": species,
            "wall_seconds": seconds,
            "series": len(used),
            "particles": sum(one["particles"] for one in species.values()),
            **summary_of_fits(statuses.values()),
            "suspects": count_kinds(suspects),
            "chosen": [candidate.label for candidate in module.chosen],
            "left_out": dict(projects[0].failures) | left_out,
            "versions": {name: version(name) for name in ("mlit", "torch", "lightning")},
            "input_sha256": {str(path): content_hash(path) for project in projects for path in project.input_paths},
        },
    )
    for name, found in species.items():
        LOG.info(
            "%s: FSC 0.143 at %.2f Å from %d series, in %.0f s", name, found["resolution_angstrom"], len(used), seconds
        )
    LOG.info("results: %s", output)


def write_species(
    output: Path,
    project: Project,
    module: RefinementModule,
    number: int,
    models: Mapping[str, SeriesModel],
    weights: Mapping[str, SignalWeights],
) -> dict[str, Any]:
    """Write poses and maps of one species; returns what the summary says of it."""
    molecule = module.molecules[number]
    halves, denoiser = molecule.maps.halves, molecule.maps.denoiser
    assert halves is not None
    folder = output / molecule.name
    particles = final_particles(project, module, number, models)
    write_particles(folder / "particles.star", particles)
    imaging = {name: model.imaging() for name, model in models.items()}
    relion = output / FOLDER / molecule.name if len(module.molecules) > 1 else output / FOLDER
    write_relion(relion, project, particles, imaging, weights, molecule.maps.settings.references.diameter_angstrom)
    write_maps(folder, halves)
    denoised = molecule.maps.denoise_half_maps()
    if denoiser is not None and denoised is not None:
        write_denoised(folder, denoised, denoiser, halves.pixel_size_angstrom)
    count = sum(len(series.particle_index) for series in project.series if series.name in models)
    return {
        "resolution_angstrom": halves.curves.resolution_angstrom(0.143),
        "particles": count,
        "denoiser": None if denoised is None else denoised.summary(),
        **report_subsets(folder, molecule.maps.subsets, count),
    }


def report_subsets(folder: Path, subsets: Subsets | None, particles: int) -> dict[str, float]:
    """Write down how the resolution depends on the number of particles; returns what the summary says of it."""
    if subsets is None:
        return {}
    line = subsets.line(particles)
    write_subsets(folder / SUBSETS, subsets, line, particles)
    if line is None or not math.isfinite(line.decay_angstrom2):
        return {}
    return {"decay_angstrom2": line.decay_angstrom2, "decay_error_angstrom2": line.decay_error_angstrom2}


def final_particles(
    project: Project, module: RefinementModule, species: int, models: Mapping[str, SeriesModel]
) -> ParticleTable:
    """Poses of all particles of a species, and of the fitted ones their errors and how likely they are particles."""
    particles = refined_particles(project, models, species)
    fitted = [name for name in models if module.records[name].errors]
    if not fitted:
        return particles
    covariances = {name: module.records[name].errors["poses"] for name in fitted}
    particles = with_errors(particles, project, models, covariances, species)
    rows = {name: module.contexts[name].rows(species) for name in fitted}
    return with_probability(
        particles, project, {name: module.particle_probability(name)[rows[name]] for name in fitted}
    )


def report_weights(output: Path, used: Sequence[SeriesInput], module: RefinementModule) -> dict[str, SignalWeights]:
    """Write down the weights that were estimated, and return them on the scale of files."""
    by_name = {series.name: series for series in used}
    found = {name: one for name, one in module.weighing.found.items() if name in by_name}
    if not found:
        return {}
    found = normalised(by_name, found)
    write_weights(output / WEIGHTS, by_name, found)
    return {name: one.in_files for name, one in found.items()}


def report_suspects(
    output: Path, projects: Sequence[Project], used: Sequence[SeriesInput], module: RefinementModule
) -> list[Suspect]:
    """Write down how strong the signal of each tilt is, which picks and tilts the fits do not believe, and say so."""
    suspects, tilts = [], []
    for number, one in enumerate(projects[0].series):
        context, record = module.contexts[one.name], module.records[one.name]
        if not record.errors or one not in used:
            continue
        expected = one.weights.amplitude(one.geometry.tilt_angle_rad)  # before any estimate of this run
        ratio = record.relative_amplitude(context) / expected.clamp(min=1e-12)
        found: list[Suspect] = []
        for species, (molecule, project) in enumerate(zip(module.molecules, projects, strict=True)):
            credence, share = (
                record.credence.of_particles(context.rows(species)),
                context.members[species].false_fraction,
            )
            found += find_false_picks(project.series[number], credence, share, molecule.name)
        found += find_bad_tilts(one, record.credence, ratio)
        if found:
            counts = ", ".join(f"{count} × {kind}" for kind, count in count_kinds(found).items() if count)
            LOG.info("%s: %s; listed in %s", one.name, counts, SUSPECTS)
        suspects += found
        tilts.append(tilt_rows(one, record.credence, ratio))
    write_suspects(output / SUSPECTS, suspects)
    write_tilts(output / TILTS, tilts)
    return suspects
