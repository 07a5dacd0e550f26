"""A refinement or reconstruction from config to results."""

import logging
import re
import time
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hydra
import lightning
from omegaconf import DictConfig, OmegaConf
from scipy.spatial import KDTree

from mlit.deformation.series_model import SeriesModel
from mlit.errors import InputError
from mlit.geometry.symmetry import point_group
from mlit.io.particle_table import ParticleTable
from mlit.io.particles import write_particles
from mlit.likelihood.signal_weights import SignalWeights
from mlit.maps.references import ReferenceSettings
from mlit.parallel import one_thread_each, reuse_memory
from mlit.project.parameter_table import write_parameters
from mlit.project.project import Project, SeriesInput
from mlit.project.results import (
    content_hash,
    refined_particles,
    with_errors,
    with_probability,
    write_maps,
    write_series,
    write_summary,
)
from mlit.project.suspects import Suspect, count_kinds, find_suspects, write_suspects
from mlit.project.warp_project import load_warp_project
from mlit.project.weights_table import normalised, write_weights
from mlit.training.data import TiltSeriesDataModule
from mlit.training.denoise_run import make_denoiser, write_denoised
from mlit.training.ledger import SeriesLedger
from mlit.training.memory import RunSize, estimate_memory, say_memory
from mlit.training.model_selection import ModelSelection, Options, candidates_from, check_candidates
from mlit.training.module import MapSettings, RefinementModule
from mlit.training.partial_sums import PartialSums
from mlit.training.run_record import claim_output, note_settings
from mlit.training.schedule import Iteration, Schedule, never_refined
from mlit.training.series_setup import Species, assign_groups, check_model_options, make_context, make_model, map_box
from mlit.training.series_status import summary_of_fits
from mlit.training.starting_maps import starting_mask, starting_references
from mlit.training.weighing import Weighing, make_request

LOG = logging.getLogger("mlit")
DUPLICATE_OVER_DIAMETER = 0.25
SUSPECTS = "suspects.csv"
WEIGHTS = "weights.csv"
WEIGHTS_KEYS = ("per_series", "per_tilt", "grid", "anisotropic")
RESERVED_NAMES = {
    ".",
    "..",
    "warp_tiltseries",
    "checkpoints",
    "tensorboard",
    "figures",
    "fsc",
    "project",
    "defocus_search",
}
SHELLS_AT_LEAST = 2  # in a fit, counted in inverse diameters


def refine(cfg: DictConfig) -> bool:
    """Refine a project and write the results into ``cfg.output``.

    The same command goes on where an interrupted run stopped; of a finished run nothing is done again.

    Parameters
    ----------
    cfg
        The composed ``conf/refine.yaml`` or ``conf/reconstruct.yaml``.

    Returns
    -------
    Whether anything was done: False where the run was finished already.

    Raises
    ------
    InputError
        If the input cannot be used, or the output holds a run with other settings.
    """
    started = time.monotonic()
    reuse_memory()
    output = Path(cfg.output)
    check_config(cfg)
    claim_output(output, cfg)
    if (output / "summary.json").is_file():
        LOG.info("%s is finished already; give another output=… or delete it to run again", output)
        return False
    lightning.seed_everything(cfg.seed, verbose=False)
    make_species(cfg)  # what is wrong with it shall be said before files are read
    project = load_project(cfg)
    refuse_inputs_as_outputs(project, output, cfg)
    module = make_module(project, cfg)
    say_memory(estimate_memory(size_of(project, module)))
    note_settings(output, cfg)
    data = TiltSeriesDataModule(project, cfg.species.diameter)
    fit(module, data, cfg)
    write_results(output, project, module, cfg, time.monotonic() - started)
    return True


def check_config(cfg: DictConfig) -> None:
    """Raise for values that the kinds of the defaults allow but that make no sense.

    Raises
    ------
    InputError
        Naming the key.
    """
    unit = cfg.data.coordinate_pixel_size_angstrom
    wrong = {
        f"seed={cfg.seed}: must lie between 0 and 2^32 - 1": not 0 <= cfg.seed < 2**32,
        f"references.tight_box={cfg.references.tight_box}: must be at least 1": cfg.references.tight_box < 1,
        f"optimizer.passes={cfg.optimizer.passes}: must be at least 1": cfg.optimizer.passes < 1,
        f"data.coordinate_pixel_size_angstrom={unit}: must be above zero": unit is not None and not unit > 0,
    }
    for number, iteration in enumerate(cfg.schedule.iterations, 1):
        missing = {"resolution_angstrom", "blocks"} - set(iteration)
        wrong[f"schedule.iterations: entry {number} lacks {', '.join(sorted(missing))}"] = bool(missing)
    for message, holds in wrong.items():
        if holds:
            raise InputError(message)


def load_project(cfg: DictConfig) -> Project:
    """Read the project, and say what was set aside."""
    project = load_warp_project(
        Path(cfg.data.settings),
        Path(cfg.data.particles),
        cfg.data.series,
        tuple(cfg.data.exclude),
        cfg.species.diameter,
        cfg.data.coordinate_pixel_size_angstrom,
        cfg.data.processing,
    )
    for name, reason in project.failures.items():
        LOG.warning("%s is left out: %s", name, reason)
    warn_of_duplicates(project, cfg.species.diameter)
    count = sum(len(series.particle_index) for series in project.series)
    LOG.info("%d series, %d particles, %g Å/px", len(project.series), count, project.pixel_size_angstrom)
    return project


def warn_of_duplicates(project: Project, diameter_angstrom: float) -> None:
    """Say where one molecule seems to be listed in both half sets: it would correlate them without being signal."""
    crossing = 0
    for series in project.series:
        rows = series.particle_index.numpy()
        tree = KDTree(project.particles.position_angstrom[rows].mean(1))
        pairs = tree.query_pairs(DUPLICATE_OVER_DIAMETER * diameter_angstrom, output_type="ndarray")
        half = project.particles.half_set[rows]
        crossing += int((half[pairs[:, 0]] != half[pairs[:, 1]]).sum())
    if crossing:
        LOG.warning(
            "%d pairs of particles in different half sets lie closer than %g diameters: "
            "if they are duplicates, the FSC is too good; remove them",
            crossing,
            DUPLICATE_OVER_DIAMETER,
        )


def make_species(cfg: DictConfig) -> Species:
    """Say what the molecule is."""
    pixel = cfg.species.pixel_size_angstrom
    if pixel is not None and not 0 < pixel < cfg.species.diameter / 8:
        raise InputError(f"species.pixel_size_angstrom={pixel}: must be above zero and below diameter / 8")
    if not re.fullmatch(r"[\w.-]+", cfg.species.name) or cfg.species.name in RESERVED_NAMES:
        raise InputError(f"species.name={cfg.species.name!r}: give another name of letters, digits, - and _")
    species = cfg.species
    return Species(species.name, species.diameter, species.symmetry, species.ewald, species.false_fraction)


def refuse_inputs_as_outputs(project: Project, output: Path, cfg: DictConfig) -> None:
    """Raise where a result would be written over what it is made from.

    Raises
    ------
    InputError
        Naming the file.
    """
    results = {(output / "warp_tiltseries" / f"{series.name}.xml").resolve() for series in project.series}
    results.add((output / cfg.species.name / "particles.star").resolve())
    inputs = {Path(cfg.data.particles).resolve(), *(series.xml.path.resolve() for series in project.series)}
    for path in sorted(results & inputs):
        raise InputError(f"output={output}: {path} is an input and would be overwritten; give another output=…")


def make_module(project: Project, cfg: DictConfig) -> RefinementModule:
    """Assemble the LightningModule of a run."""
    species = make_species(cfg)
    species.check_against(project)
    pixel = cfg.species.pixel_size_angstrom or project.pixel_size_angstrom
    if pixel < 0.999 * project.pixel_size_angstrom:
        raise InputError(
            f"species.pixel_size_angstrom={pixel}: finer than the images ({project.pixel_size_angstrom:g} Å); "
            "average the movies with less binning"
        )
    group, folds = assign_groups(project, cfg.seed, None if cfg.schedule.iterations else 1)
    options: Any = OmegaConf.to_container(cfg.model, resolve=True)
    candidates, compared_in = candidates_from(options.pop("candidates")), options.pop("compared_in_iteration")
    check_model_options(options)
    check_candidates(candidates, options)
    by_name = {s.name: s for s in project.series}

    def build(name: str, options: Options) -> SeriesModel:
        return make_model(by_name[name], project.particles, options)

    models = {name: build(name, options) for name in by_name}
    contexts = {s.name: make_context(s, project.particles, group, species) for s in project.series}
    box = map_box(species.diameter_angstrom, pixel)
    settings = ReferenceSettings(
        species.diameter_angstrom, **cfg.references, posterior_mean=cfg.denoiser.posterior_mean
    )
    maps = MapSettings(
        settings,
        box,
        pixel,
        folds,
        point_group(species.symmetry).float(),
        starting_mask(cfg.species.mask, box, pixel),
        cfg.seed,
    )
    start = starting_references(cfg.species.half_maps, maps)
    enabled = dict.fromkeys(name for m in models.values() for name in m.blocks)
    iterations = make_iterations(cfg, [*enabled, *(c.block for c in candidates if c.block not in enabled)])
    coarsest = species.diameter_angstrom / SHELLS_AT_LEAST
    schedule = Schedule(iterations, 2 * max(pixel, project.pixel_size_angstrom), coarsest)
    checkpoints = Path(cfg.output) / "checkpoints"
    ledger, partial_sums = SeriesLedger(checkpoints / "series"), PartialSums(checkpoints / "sums.pt")
    solver = hydra.utils.instantiate(cfg.optimizer)
    compared_in = min(compared_in, len(iterations) - 1)
    selection = ModelSelection(options, tuple(candidates), build, compared_in) if candidates else None
    weighing = Weighing(make_request(**{key: cfg.weights[key] for key in WEIGHTS_KEYS}))
    denoiser = make_denoiser(cfg)
    extras = selection, weighing, denoiser
    return RefinementModule(models, contexts, maps, schedule, solver, ledger, partial_sums, start, *extras)


def size_of(project: Project, module: RefinementModule) -> RunSize:
    """Collect what the memory of a run depends on."""
    maps, fits = module.maps, bool(module.schedule.iterations)
    tight = maps.references.tight_angstrom
    return RunSize.of(project, maps.box, 2 * maps.folds, maps.pixel_size_angstrom, tight, fits)


def make_iterations(cfg: DictConfig, enabled: Sequence[str]) -> tuple[Iteration, ...]:
    """Read what the iterations do, leave out blocks that are not enabled, and warn of those that are never refined."""
    given = [
        Iteration(i.resolution_angstrom, tuple(i.blocks), *(bool(i.get(k, False)) for k in ("learn_priors", "weights")))
        for i in cfg.schedule.iterations
    ]
    for name in never_refined(given, enabled):
        LOG.warning(
            "model.%s is enabled, but no iteration refines it: name %s in schedule.iterations, "
            "or give model.%s.enabled=false",
            name,
            name,
            name,
        )
    return tuple(iteration.limited_to(("poses", *enabled)) for iteration in given)


def fit(module: RefinementModule, data: TiltSeriesDataModule, cfg: DictConfig) -> None:
    """Run the epochs, from the last checkpoint if there is one."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    callbacks = [hydra.utils.instantiate(node) for node in cfg.callbacks.values()]
    logger = hydra.utils.instantiate(cfg.logger) if cfg.logger else False
    trainer = hydra.utils.instantiate(
        cfg.trainer, max_epochs=module.schedule.epochs, callbacks=callbacks, logger=logger
    )
    checkpoint = Path(cfg.output) / "checkpoints" / "last.ckpt"
    resume = str(checkpoint) if checkpoint.is_file() else None
    if resume:
        LOG.info("going on from %s", checkpoint)
    with warnings.catch_warnings(), one_thread_each():
        warnings.filterwarnings("ignore", message=".*configure_optimizers.*None.*")
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
        trainer.fit(module, datamodule=data, ckpt_path=resume)


def write_results(output: Path, project: Project, module: RefinementModule, cfg: DictConfig, seconds: float) -> None:
    """Write metadata, poses, maps and the summary."""
    assert module.halves is not None
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
    write_particles(folder / "particles.star", final_particles(project, module, models))
    suspects = report_suspects(output, used, module)
    write_maps(folder, module.halves)
    denoised = module.denoise_half_maps()
    if module.denoiser is not None and denoised is not None:
        write_denoised(folder, denoised, module.denoiser, module.halves.pixel_size_angstrom)
    resolution = module.halves.curves.resolution_angstrom(0.143)
    write_summary(
        output / "summary.json",
        {
            "species": {cfg.species.name: {"resolution_angstrom": resolution}},
            "wall_seconds": seconds,
            "series": len(used),
            "particles": sum(len(series.particle_index) for series in used),
            **summary_of_fits(statuses.values()),
            "suspects": count_kinds(suspects),
            "denoiser": None if denoised is None else denoised.summary(),
            "chosen": [candidate.label for candidate in module.chosen],
            "left_out": dict(project.failures) | left_out,
            "versions": {name: version(name) for name in ("mlit", "torch", "lightning")},
            "input_sha256": {str(path): content_hash(Path(path)) for path in (cfg.data.settings, cfg.data.particles)},
        },
    )
    LOG.info("FSC 0.143 at %.2f Å from %d series, in %.0f s", resolution, len(used), seconds)
    LOG.info("results: %s", output)


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
    return {name: one.weights for name, one in found.items()}


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
