"""Write what a run has found."""

import logging
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from omegaconf import DictConfig

from mlit.deformation.series_model import SeriesModel
from mlit.io.particle_table import ParticleTable
from mlit.io.particles import write_particles
from mlit.likelihood.signal_weights import SignalWeights
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
from mlit.project.suspects import Suspect, count_kinds, find_suspects, write_suspects
from mlit.project.weights_table import normalised, write_weights
from mlit.training.denoise_run import write_denoised
from mlit.training.module import RefinementModule
from mlit.training.series_status import summary_of_fits

LOG = logging.getLogger("mlit")
SUSPECTS = "suspects.csv"
SUBSETS = "subsets.csv"
WEIGHTS = "weights.csv"


def write_results(output: Path, project: Project, module: RefinementModule, cfg: DictConfig, seconds: float) -> None:
    """Write metadata, poses, maps and the summary."""
    halves = module.maps.halves
    assert halves is not None
    statuses = {name: record.status for name, record in module.records.items()}
    left_out = {name: s.reason_left_out for name, s in statuses.items() if s.reason_left_out is not None}
    used = [series for series in project.series if series.name not in left_out]
    models = {series.name: module.model(series.name) for series in used}
    weights = report_weights(output, used, module)
    for series in used:
        write_series(output / "warp_tiltseries", series, models[series.name].imaging(), weights.get(series.name))
        if errors := module.records[series.name].errors:
            write_parameters(output / "parameters" / f"{series.name}.csv", models[series.name], errors)
    folder = output / cfg.species.name
    particles = final_particles(project, module, models)
    write_particles(folder / "particles.star", particles)
    imaging = {name: model.imaging() for name, model in models.items()}
    write_relion(output / FOLDER, project, particles, imaging, weights, cfg.species.diameter)
    suspects = report_suspects(output, used, module)
    write_maps(folder, halves)
    denoised = module.maps.denoise_half_maps()
    if module.denoiser is not None and denoised is not None:
        write_denoised(folder, denoised, module.denoiser, halves.pixel_size_angstrom)
    resolution = halves.curves.resolution_angstrom(0.143)
    count = sum(len(series.particle_index) for series in used)
    write_summary(
        output / "summary.json",
        {
            "species": {cfg.species.name: {"resolution_angstrom": resolution} | report_subsets(output, module, count)},
            "wall_seconds": seconds,
            "series": len(used),
            "particles": count,
            **summary_of_fits(statuses.values()),
            "suspects": count_kinds(suspects),
            "denoiser": None if denoised is None else denoised.summary(),
            "chosen": [candidate.label for candidate in module.chosen],
            "left_out": dict(project.failures) | left_out,
            "versions": {name: version(name) for name in ("mlit", "torch", "lightning")},
            "input_sha256": {str(path): content_hash(path) for path in project.input_paths},
        },
    )
    LOG.info("FSC 0.143 at %.2f Å from %d series, in %.0f s", resolution, len(used), seconds)
    LOG.info("results: %s", output)


def report_subsets(output: Path, module: RefinementModule, particles: int) -> dict[str, float]:
    """Write down how the resolution depends on the number of particles; returns what the summary says of it."""
    subsets = module.maps.subsets
    if subsets is None:
        return {}
    line = subsets.line(particles)
    write_subsets(output / SUBSETS, subsets, line, particles)
    if line is None or not math.isfinite(line.decay_angstrom2):
        return {}
    return {"decay_angstrom2": line.decay_angstrom2, "decay_error_angstrom2": line.decay_error_angstrom2}


def final_particles(project: Project, module: RefinementModule, models: Mapping[str, SeriesModel]) -> ParticleTable:
    """Poses of all particles, and of the fitted ones their errors and how likely they are particles."""
    particles = refined_particles(project, models)
    fitted = [name for name in models if module.records[name].errors]
    if not fitted:
        return particles
    covariances = {name: module.records[name].errors["poses"] for name in fitted}
    particles = with_errors(particles, project, models, covariances)
    return with_probability(particles, project, {name: module.particle_probability(name) for name in fitted})


def report_weights(output: Path, used: Sequence[SeriesInput], module: RefinementModule) -> dict[str, SignalWeights]:
    """Write down the weights that were estimated, and return them on the scale of files."""
    by_name = {series.name: series for series in used}
    found = {name: one for name, one in module.weighing.found.items() if name in by_name} if module.weighing else {}
    if not found:
        return {}
    found = normalised(by_name, found)
    write_weights(output / WEIGHTS, by_name, found)
    return {name: one.in_files for name, one in found.items()}


def report_suspects(output: Path, series: Sequence[SeriesInput], module: RefinementModule) -> list[Suspect]:
    """Write down which picks and tilts the fits do not believe, and say so."""
    suspects = []
    for one in series:
        context, record = module.contexts[one.name], module.records[one.name]
        if not record.errors:
            continue
        expected = one.weights.amplitude(one.geometry.tilt_angle_rad)  # before any estimate of this run
        ratio = record.relative_amplitude(context) / expected.clamp(min=1e-12)
        found = find_suspects(one, record.credence, ratio, context.false_fraction)
        if found:
            counts = ", ".join(f"{count} × {kind}" for kind, count in count_kinds(found).items() if count)
            LOG.info("%s: %s; listed in %s", one.name, counts, SUSPECTS)
        suspects += found
    write_suspects(output / SUSPECTS, suspects)
    return suspects
