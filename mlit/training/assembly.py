"""From config and project to the LightningModule of a run."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
import torch
from omegaconf import DictConfig, OmegaConf
from scipy.spatial import KDTree
from torch import Tensor

from mlit.deformation.series_model import SeriesModel
from mlit.errors import InputError
from mlit.maps.references import ReferenceSettings
from mlit.project.filaments import filaments, neighbours_on_filaments
from mlit.project.project import Project
from mlit.project.shared_series import with_shared_series
from mlit.training.denoise_run import make_denoiser
from mlit.training.ledger import SeriesLedger
from mlit.training.map_maker import MapMaker, MapSettings
from mlit.training.memory import RunSize
from mlit.training.model_selection import ModelSelection, Options, candidates_from, check_candidates
from mlit.training.module import RefinementModule
from mlit.training.molecule import Molecule
from mlit.training.partial_sums import PartialSums
from mlit.training.population_data import load_project
from mlit.training.schedule import Iteration, Schedule, never_refined
from mlit.training.series_setup import (
    Species,
    SpeciesInput,
    assign_groups,
    check_model_options,
    make_context,
    make_model,
    map_box,
)
from mlit.training.species_configs import species_configs
from mlit.training.starting_maps import starting_mask, starting_references
from mlit.training.weighing import Weighing, make_request

LOG = logging.getLogger("mlit")
DUPLICATE_OVER_DIAMETER = 0.25
WEIGHTS_KEYS = ("per_series", "per_tilt", "grid", "anisotropic")
RESERVED_NAMES = {
    ".",
    "..",
    "warp_tiltseries",
    "relion",
    "checkpoints",
    "tensorboard",
    "figures",
    "fsc",
    "m",
    "project",
    "defocus_search",
}
SHELLS_AT_LEAST = 2  # in a fit, counted in inverse diameters


def load_projects(cfg: DictConfig) -> list[Project]:
    """Read the project with the particles of each species, and say what was set aside."""
    configs = species_configs(cfg)
    projects = with_shared_series([load_project(one) for one in configs])
    for name, reason in projects[0].failures.items():
        LOG.warning("%s is left out: %s", name, reason)
    for one, project in zip(configs, projects, strict=True):
        warn_of_duplicates(project, one.species.diameter)
        count = sum(len(series.particle_index) for series in project.series)
        name = f", {one.species.name}" if len(configs) > 1 else ""
        LOG.info("%d series, %d particles, %g Å/px%s", len(project.series), count, project.pixel_size_angstrom, name)
    return projects


def warn_of_duplicates(project: Project, diameter_angstrom: float) -> None:
    """Say where one molecule seems to be listed in both half sets: it would correlate them without being signal."""
    crossing = 0
    for series in project.series:
        rows = series.particle_index.numpy()
        if not len(rows):
            continue
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


def group_filaments(project: Project, species: Species) -> Tensor | None:
    """Give each particle the number of its filament, if it is of one; say where both half sets show the same."""
    helix = species.map_symmetry.helix
    if helix is None:
        return None
    pairs = neighbours_on_filaments(project, helix, species.diameter_angstrom)
    half = project.particles.half_set
    crossing = int((half[pairs[:, 0]] != half[pairs[:, 1]]).sum())
    if crossing:
        LOG.warning(
            "%d pairs of particles in different half sets show the same units of a filament: the FSC is too good; "
            "give whole filaments to one half set in the particle table",
            crossing,
        )
    return torch.from_numpy(filaments(pairs, len(half)))


def make_species(cfg: DictConfig) -> Species:
    """Say what the molecule is."""
    pixel = cfg.species.pixel_size_angstrom
    if pixel is not None and not 0 < pixel < cfg.species.diameter / 8:
        raise InputError(f"species.pixel_size_angstrom={pixel}: must be above zero and below diameter / 8")
    if not re.fullmatch(r"[\w.-]+", cfg.species.name) or cfg.species.name in RESERVED_NAMES:
        raise InputError(f"species.name={cfg.species.name!r}: give another name of letters, digits, - and _")
    species = cfg.species
    helix = species.helical_units, species.helical_twist, species.helical_rise
    shape = species.name, species.diameter, species.symmetry, species.ewald, species.false_fraction
    return Species(*shape, *helix, species.temporal_samples)


def make_module(projects: Sequence[Project], cfg: DictConfig) -> RefinementModule:
    """Assemble the LightningModule of a run from the projects of its species."""
    configs = species_configs(cfg)
    species = [make_species(one) for one in configs]
    options: Any = OmegaConf.to_container(cfg.model, resolve=True)
    candidates, compared_in = candidates_from(options.pop("candidates")), options.pop("compared_in_iteration")
    check_model_options(options)
    check_candidates(candidates, options)
    grouped = [_grouped(*both, cfg) for both in zip(projects, species, strict=True)]
    inputs = _inputs(projects, species, [group for group, _ in grouped])

    def build(name: str, options: Options) -> SeriesModel:
        return make_model(inputs[name], options)

    models = {name: build(name, options) for name in inputs}
    contexts = {name: make_context(one) for name, one in inputs.items()}
    enabled = dict.fromkeys(name for m in models.values() for name in m.blocks)
    iterations = make_iterations(cfg, [*enabled, *(c.block for c in candidates if c.block not in enabled)])
    molecules = [
        make_molecule(project, one, kind, folds, iterations)
        for project, one, kind, (_, folds) in zip(projects, configs, species, grouped, strict=True)
    ]
    compared_in = min(compared_in, len(iterations) - 1)
    return RefinementModule(
        models,
        contexts,
        molecules,
        hydra.utils.instantiate(cfg.optimizer),
        SeriesLedger(Path(cfg.output) / "checkpoints" / "series"),
        Weighing(make_request(**{key: cfg.weights[key] for key in WEIGHTS_KEYS})),
        ModelSelection(options, tuple(candidates), build, compared_in) if candidates else None,
    )


def _grouped(project: Project, species: Species, cfg: DictConfig) -> tuple[Tensor, int]:
    species.check_against(project)
    return assign_groups(project, cfg.seed, cfg.folds, group_filaments(project, species))


def _inputs(
    projects: Sequence[Project], species: Sequence[Species], groups: Sequence[Tensor]
) -> Mapping[str, list[SpeciesInput]]:
    """Collect what each series holds of each species."""
    return {
        parts[0].name: [
            SpeciesInput(kind, series, project.particles, group)
            for kind, series, project, group in zip(species, parts, projects, groups, strict=True)
        ]
        for parts in zip(*(project.series for project in projects), strict=True)
    }


def make_molecule(
    project: Project, cfg: DictConfig, species: Species, folds: int, iterations: tuple[Iteration, ...]
) -> Molecule:
    """Assemble what a run keeps of a species; ``cfg`` is the config of that species."""
    maps = make_map_settings(project, cfg, species, folds)
    sums = PartialSums(Path(cfg.output) / "checkpoints" / f"sums_{species.name}.pt")
    schedule = Schedule(iterations, finest_detail(project, maps), species.diameter_angstrom / SHELLS_AT_LEAST)
    start = starting_references(cfg.species.half_maps or project.half_maps, maps)
    return Molecule(species.name, MapMaker(maps, sums, make_denoiser(cfg)), schedule, start)


def make_map_settings(project: Project, cfg: DictConfig, species: Species, folds: int) -> MapSettings:
    """Say what maps the run makes.

    Raises
    ------
    InputError
        If pixel size or box do not fit to images and molecule.
    """
    pixel = cfg.species.pixel_size_angstrom or project.pixel_size_angstrom
    if pixel < 0.999 * project.pixel_size_angstrom:
        raise InputError(
            f"species.pixel_size_angstrom={pixel}: finer than the images ({project.pixel_size_angstrom:g} Å); "
            "average the movies with less binning"
        )
    references = ReferenceSettings(
        species.diameter_angstrom, **cfg.references, posterior_mean=cfg.denoiser.posterior_mean
    )
    box = map_box(references, pixel, cfg.species.box)
    helix = species.map_symmetry.helix
    if helix is not None and helix.height_angstrom > box * pixel / 2:
        raise InputError(
            f"species.helical_units={helix.units}: so many units of {helix.rise_angstrom:g} Å are longer than half of "
            f"the box of {box * pixel:g} Å; give fewer, or a larger species.box"
        )
    mask = starting_mask(cfg.species.mask or project.mask, box, pixel)
    return MapSettings(references, box, pixel, folds, species.map_symmetry, mask, cfg.seed)


def sizes_of(projects: Sequence[Project], module: RefinementModule, storage: torch.dtype) -> list[RunSize]:
    """Collect what the memory of a run depends on, for each species; ``storage`` is the type of kept pixels."""
    sizes = []
    for project, molecule in zip(projects, module.molecules, strict=True):
        fits, network = bool(molecule.schedule.iterations), molecule.maps.denoiser is not None
        sizes.append(size_of(project, molecule.maps.settings, storage, fits, network))
    return sizes


def size_of(project: Project, maps: MapSettings, storage: torch.dtype, fits: bool, network: bool) -> RunSize:
    """Collect what the memory of a run depends on, for one species; ``fits`` and ``network`` as in `RunSize`."""
    tight = maps.references.tight_angstrom
    size = RunSize.of(project, maps.box, 2 * maps.folds, maps.pixel_size_angstrom, tight, fits=fits, network=network)
    return replace(size, all_series_bytes=size.all_series_bytes * storage.itemsize // torch.float32.itemsize)


def finest_detail(project: Project, maps: MapSettings) -> float:
    """Return the finest detail in Å that the pixels of both images and maps can hold."""
    return 2 * max(maps.pixel_size_angstrom, project.pixel_size_angstrom)


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
