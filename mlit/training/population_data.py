"""A population of M as the input of a run: the config completed by what its species says."""

import json
import logging
import re
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from mlit.io.m.species import MSpecies
from mlit.project.any_project import data_kind, read_project
from mlit.project.population_project import load_population_project
from mlit.project.population_results import SpeciesResult, write_population_results
from mlit.project.population_tree import read_population_tree
from mlit.project.project import Project
from mlit.training.species_configs import species_configs

LOG = logging.getLogger("mlit")


def is_population(cfg: DictConfig) -> bool:
    """Whether the input of a run is a population."""
    return data_kind(cfg.data) == "population"


def with_species(cfg: DictConfig) -> DictConfig:
    """Return the config with what it leaves to the species of a population; any other config as it is.

    Raises
    ------
    InputError
        If the population cannot be read, or several species are there and none is chosen.
    """
    if not is_population(cfg):
        return cfg
    tree = read_population_tree(cfg.data.population)
    completed: Any = OmegaConf.merge(cfg)
    wanted, *others = _chosen(cfg)
    species = tree.choose_species(wanted)
    completed.data.species, completed.data.particles = wanted, cfg.data.particles or str(species.file("particles"))
    for key, value in _said_of(species).items():
        if completed.species.get(key) is None:
            completed.species[key] = value
    if not completed.species.half_maps:
        completed.species.half_maps = None
    if others:
        further = [_entry(tree.choose_species(name), str(name)) for name in others]
        completed.more_species = [*completed.more_species, *further]
    return completed


def _chosen(cfg: DictConfig) -> list[str | None]:
    """Return what ``data.species`` names; None where the only one is meant."""
    given = cfg.data.species
    several = list(given) if isinstance(given, ListConfig) else [given]
    return [None if name is None else str(name) for name in several] or [None]


def _said_of(species: MSpecies) -> dict[str, Any]:
    """Collect what a species says of itself, by the keys of the config group ``species``."""
    return {
        "name": re.sub(r"[^\w.-]+", "_", species.name) or "particle",
        "diameter": species.diameter_angstrom,
        "symmetry": species.symmetry,
        "half_maps": _half_maps(species),
    }


def _entry(species: MSpecies, chosen_by: str) -> dict[str, Any]:
    """Return a further species of a population as an entry of ``more_species``."""
    return {"species": chosen_by, "particles": str(species.file("particles")), **_said_of(species)}


def load_project(cfg: DictConfig) -> Project:
    """Read the project that a config names, completed where it is a population.

    Raises
    ------
    InputError
        If the project cannot be used.
    """
    data = cfg.data
    if not is_population(cfg):
        return read_project(data, cfg.species.diameter)
    return load_population_project(
        data.population,
        data.species,
        data.series,
        tuple(str(name) for name in data.exclude),
        cfg.species.diameter,
        data.processing,
        data.particles,
        data.coordinate_pixel_size_angstrom,
        data.bad_tilts,
    )


def write_for_m(cfg: DictConfig) -> None:
    """Lay the results of a finished run out for M, where its input was a population."""
    if not is_population(cfg):
        return
    output = Path(cfg.output)
    tree = read_population_tree(cfg.data.population)
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    results = {}
    for one in species_configs(cfg):
        name = one.species.name
        resolution = float(summary["species"][name]["resolution_angstrom"])
        results[tree.choose_species(one.data.species).guid] = SpeciesResult(output / name, resolution)
    LOG.info("for M: %s", write_population_results(output, tree, results))


def _half_maps(species: MSpecies) -> list[str] | None:
    paths = [species.file("half1"), species.file("half2")]
    return [str(path) for path in paths] if all(Path(path).is_file() for path in paths) else None
