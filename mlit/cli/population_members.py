"""Populations themselves: made, listed, and given other members."""

import logging
import sys
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from mlit.cli.population_numbers import needed
from mlit.errors import InputError
from mlit.io.file_names import checked_name
from mlit.io.m.population import MPopulation, read_population, write_population
from mlit.project.population_edit import rebased, with_members, without_members
from mlit.project.population_tree import read_population_tree

LOG = logging.getLogger("mlit")
_WIDTH_WITHOUT_TERMINAL = 170


def edit_members(cfg: DictConfig, folder: Path) -> None:
    """Write a population into a folder: a new one, or one with members added or removed.

    Raises
    ------
    InputError
        If a key is missing, or a member cannot be read or found.
    """
    options = cfg.population
    added = [[Path(str(path)) for path in paths] for paths in (options.add_sources, options.add_species)]
    if cfg.action == "create":
        name = checked_name(needed(cfg, "population.name", "create"), "population.name")
        population = MPopulation(folder / f"{name}.population", name, (), ())
    else:
        population = rebased(read_population(needed(cfg, "data.population", cfg.action)), folder)
    if cfg.action == "remove":
        if not len(options.remove):
            raise InputError("action=remove: give population.remove=[NAME,…]")
        population = without_members(population, [str(name) for name in options.remove])
    elif cfg.action == "add" and not any(added):
        raise InputError("action=add: give population.add_sources=[…] or population.add_species=[…]")
    else:
        population = with_members(population, *added)
    folder.mkdir(parents=True, exist_ok=True)
    write_population(population.path, population)
    counts = len(population.sources), len(population.species)
    LOG.info("population of %d sources and %d species: %s", *counts, population.path)


def list_members(path: str) -> None:
    """Print what a population names."""
    tree = read_population_tree(path)
    table = Table(title=tree.population.name)
    for heading in ("kind", "name", "GUID", "content", "file"):
        table.add_column(heading)
    for one in tree.sources:
        content = f"{len(one.files)} series, {one.pixel_size_angstrom:g} Å/px"
        table.add_row("source", one.name, one.guid, content, str(one.path))
    for one in tree.species:
        content = f"{one.symmetry}, {one.diameter_angstrom:g} Å wide, {one.pixel_size_angstrom:g} Å/px"
        table.add_row("species", one.name, one.guid, f"{content}, {one.samples} samples", str(one.path))
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL, highlight=False)
    console.print(table)
