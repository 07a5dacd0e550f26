"""A population of M as the input of a run: the config completed by what its species says."""

import json
import logging
import re
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mlit.io.m.species import MSpecies
from mlit.project.population_project import load_population_project
from mlit.project.population_results import write_population_results
from mlit.project.population_tree import read_population_tree
from mlit.project.project import Project

LOG = logging.getLogger("mlit")


def is_population(cfg: DictConfig) -> bool:
    """Whether the input of a run is a population."""
    return "population" in cfg.data


def with_species(cfg: DictConfig) -> DictConfig:
    """Return the config with what it leaves to the species of a population; any other config as it is.

    Raises
    ------
    InputError
        If the population cannot be read, or several species are there and none is chosen.
    """
    if not is_population(cfg):
        return cfg
    species = read_population_tree(cfg.data.population).choose_species(cfg.data.species)
    completed: Any = OmegaConf.merge(cfg)
    wanted = {
        "data": {"particles": str(species.file("particles"))},
        "species": {
            "name": re.sub(r"[^\w.-]+", "_", species.name) or "particle",
            "diameter": species.diameter_angstrom,
            "symmetry": species.symmetry,
            "half_maps": _half_maps(species),
        },
    }
    for section, values in wanted.items():
        for key, value in values.items():
            if completed[section].get(key) is None:
                completed[section][key] = value
    if not completed.species.half_maps:
        completed.species.half_maps = None
    return completed


def load_population(cfg: DictConfig) -> Project:
    """Read the project that a completed config names."""
    data = cfg.data
    return load_population_project(
        data.population,
        data.species,
        data.series,
        tuple(str(name) for name in data.exclude),
        cfg.species.diameter,
        data.processing,
        data.particles,
        data.coordinate_pixel_size_angstrom,
    )


def write_for_m(cfg: DictConfig) -> None:
    """Lay the results of a finished run out for M, where its input was a population."""
    if not is_population(cfg):
        return
    output = Path(cfg.output)
    tree = read_population_tree(cfg.data.population)
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    resolution = float(summary["species"][cfg.species.name]["resolution_angstrom"])
    species = tree.choose_species(cfg.data.species)
    LOG.info("for M: %s", write_population_results(output, tree, species, output / cfg.species.name, resolution))


def _half_maps(species: MSpecies) -> list[str] | None:
    paths = [species.file("half1"), species.file("half2")]
    return [str(path) for path in paths] if all(Path(path).is_file() for path in paths) else None
