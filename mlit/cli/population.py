"""Change the species of a population of M, or a single particle table; and make populations."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from mlit.cli.population_members import edit_members, list_members
from mlit.cli.population_numbers import needed, positive, rotation_of, vector
from mlit.errors import InputError
from mlit.geometry.symmetry import coset_representatives, keeps_group, point_group
from mlit.io.m.species import MSpecies
from mlit.io.particles import ParticleTable, read_particles, write_particles
from mlit.io.warp.settings import read_settings
from mlit.maps.rigid_motion import RigidMotion
from mlit.project.moved_maps import move_map_file
from mlit.project.new_mask import new_mask
from mlit.project.particle_actions import expanded, moved, resampled, without_duplicates
from mlit.project.population_edit import SpeciesChange, write_changed_species
from mlit.project.population_tree import PopulationTree, read_population_tree

LOG = logging.getLogger("mlit")
MEMBER_ACTIONS = ("create", "add", "remove", "list")


@dataclass(frozen=True)
class Subject:
    """What an action works on: a table, and the species that it belongs to, if any."""

    table: ParticleTable
    tree: PopulationTree | None
    species: MSpecies | None

    def symmetry(self, options: DictConfig) -> str:
        """Point group of the map."""
        return str(options.symmetry or ("C1" if self.species is None else self.species.symmetry))


def run(cfg: DictConfig) -> None:
    """Do one action and write its result into ``cfg.output``.

    Parameters
    ----------
    cfg
        The composed ``conf/population.yaml``.

    Raises
    ------
    InputError
        Naming the key or file that is wrong.
    """
    action = str(cfg.action)
    if action not in (*ACTIONS, *MEMBER_ACTIONS):
        raise InputError(f"action={action}: there is no such action; use {', '.join((*ACTIONS, *MEMBER_ACTIONS))}")
    if action == "list":
        list_members(needed(cfg, "data.population", action))
        return
    folder = Path(needed(cfg, "output", action))
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"output={folder}: is not empty; give a new folder")
    if action in MEMBER_ACTIONS:
        edit_members(cfg, folder)
        return
    subject = _subject(cfg)
    change = ACTIONS[action](subject, cfg)
    if subject.tree is not None and subject.species is not None:
        LOG.info("population: %s", write_changed_species(folder, subject.tree, subject.species, change))
    else:
        write_particles(folder / "particles.star", change.particles)
        _move_maps([Path(str(path)) for path in cfg.data.maps], folder, change.motion)
        LOG.info("%d particles: %s", change.particles.particles, folder / "particles.star")


def _subject(cfg: DictConfig) -> Subject:
    data = cfg.data
    if data.population is None and data.particles is None:
        raise InputError("give data.population=… or data.particles=…")
    tree = None if data.population is None else read_population_tree(data.population)
    species = None if tree is None else tree.choose_species(data.species)
    if tree is not None and len(data.maps):
        raise InputError("data.maps goes with data.particles alone; the maps of a species are moved by themselves")
    path = species.file("particles") if species is not None and data.particles is None else Path(str(data.particles))
    settings = None if data.settings is None else read_settings(data.settings)
    table = read_particles(
        path,
        None if settings is None else (settings.pixel_size_angstrom, settings.binned_pixel_size_angstrom),
        None if settings is None else settings.tomogram_size_angstrom,
        coordinate_pixel_size_angstrom=data.coordinate_pixel_size_angstrom,
    )
    return Subject(table, tree, species)


def _move_maps(paths: list[Path], folder: Path, motion: RigidMotion | None) -> None:
    if len({path.name for path in paths}) < len(paths):
        raise InputError("data.maps: two files have the same name; rename one")
    for path in paths:
        move_map_file(path, folder / path.name, motion or RigidMotion.identity())


def _moved(subject: Subject, cfg: DictConfig, motion: RigidMotion, symmetry: str) -> SpeciesChange:
    if not keeps_group(point_group(symmetry), motion.rotation, motion.shift_angstrom):
        raise InputError(
            f"action={cfg.action}: the moved map would not have the symmetry {symmetry} about its centre; "
            "expand it first (action=expand_symmetry)"
        )
    return SpeciesChange(moved(subject.table, motion), motion, symmetry)


def _rotate(subject: Subject, cfg: DictConfig) -> SpeciesChange:
    motion = RigidMotion(rotation_of(cfg), RigidMotion.identity().shift_angstrom)
    return _moved(subject, cfg, motion, subject.symmetry(cfg.population))


def _shift(subject: Subject, cfg: DictConfig) -> SpeciesChange:
    motion = RigidMotion(RigidMotion.identity().rotation, vector(cfg, "shift_angstrom"))
    return _moved(subject, cfg, motion, subject.symmetry(cfg.population))


def _recentre(subject: Subject, cfg: DictConfig) -> SpeciesChange:
    """One copy for every place that the symmetry gives the point, each about its own centre."""
    symmetry, left = subject.symmetry(cfg.population), str(cfg.population.symmetry_to)
    motion = RigidMotion(RigidMotion.identity().rotation, -vector(cfg, "point_angstrom"))
    if len(point_group(symmetry)) > 1 and symmetry.upper() != left.upper():
        table = expanded(subject.table, coset_representatives(symmetry, left))
        subject = Subject(table, subject.tree, subject.species)
    return _moved(subject, cfg, motion, left)


def _expand(subject: Subject, cfg: DictConfig) -> SpeciesChange:
    symmetry, left = subject.symmetry(cfg.population), str(cfg.population.symmetry_to)
    if len(point_group(symmetry)) == 1:
        raise InputError(f"population.symmetry={symmetry}: has nothing to expand; give the point group of the map")
    operators = coset_representatives(symmetry, left)
    LOG.info("%d copies of each particle: %s to %s", len(operators), symmetry, left)
    return SpeciesChange(expanded(subject.table, operators), symmetry=left)


def _resample(subject: Subject, cfg: DictConfig) -> SpeciesChange:
    samples = int(positive(cfg, "samples"))
    LOG.info("from %d to %d samples", subject.table.samples, samples)
    return SpeciesChange(resampled(subject.table, samples))


def _dedupe(subject: Subject, cfg: DictConfig) -> SpeciesChange:
    distance = positive(cfg, "distance_angstrom")
    thinned = without_duplicates(subject.table, distance)
    if len(set(thinned.table.half_set.tolist())) < 2:
        raise InputError(f"population.distance_angstrom={distance}: leaves a half set empty; give a smaller distance")
    LOG.info(
        "%d of %d particles dropped, %d of them across half sets",
        thinned.dropped,
        subject.table.particles,
        thinned.across_half_sets,
    )
    return SpeciesChange(thinned.table)


def _update_mask(subject: Subject, cfg: DictConfig) -> SpeciesChange:
    if subject.species is None:
        raise InputError("action=update_mask: is for a species; give data.population=…")
    options = cfg.population
    if options.extend_angstrom < 0 or (options.extend_angstrom and options.threshold is None):
        raise InputError(
            f"population.extend_angstrom={options.extend_angstrom}: must be 0 or above, and goes with threshold"
        )
    file = None if options.mask is None else Path(options.mask)
    mask = new_mask(subject.species, file, options.threshold, options.extend_angstrom)
    LOG.info("the mask takes up %.1f %% of the box", 100 * float(mask.mean()))
    return SpeciesChange(subject.table, mask=mask)


ACTIONS: dict[str, Callable[[Subject, Any], SpeciesChange]] = {
    "rotate": _rotate,
    "shift": _shift,
    "recentre": _recentre,
    "expand_symmetry": _expand,
    "resample_trajectories": _resample,
    "dedupe": _dedupe,
    "update_mask": _update_mask,
}
