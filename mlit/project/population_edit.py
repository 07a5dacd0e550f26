"""Populations written anew: with a changed species, or with members added and removed. Inputs stay as they are."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from mlit.errors import InputError
from mlit.io.atomic import atomic_write
from mlit.io.m.guid import same_guid
from mlit.io.m.population import MPopulation, MReference, write_population
from mlit.io.m.source import read_source
from mlit.io.m.species import MSpecies, read_species, write_species
from mlit.io.mrc import read_mrc_header, write_mrc
from mlit.io.particles import ParticleTable, write_particles
from mlit.maps.rigid_motion import RigidMotion
from mlit.project.moved_maps import move_map_file
from mlit.project.population_results import relative
from mlit.project.population_tree import PopulationTree
from mlit.project.selection import shown

MAPS = ("half1", "half2", "mask", "filtered", "sharpened", "anisotropic", "local", "denoised")
CARRIED = ("network", "fsc")  # the same after a motion
_SHORTEST_GUID = 4


@dataclass(frozen=True)
class SpeciesChange:
    """What becomes of a species.

    Attributes
    ----------
    particles
        Its new table.
    motion
        Of its maps; None leaves them in place, with all that was measured on them.
    symmetry
        New point group; None for the old one.
    mask
        New mask on the grid of the half maps; None for the old one.
    """

    particles: ParticleTable
    motion: RigidMotion | None = None
    symmetry: str | None = None
    mask: Float[Tensor, "z y x"] | None = None


def write_changed_species(folder: Path, tree: PopulationTree, species: MSpecies, change: SpeciesChange) -> Path:
    """Write a population with a changed species into a folder; returns its path.

    Other species and the sources are named where they are. GUIDs and versions stay: M makes new versions when it
    commits.

    Raises
    ------
    InputError
        If a map cannot be moved, or the place cannot be written to.
    """
    changed = replace(
        species,
        path=folder / "species" / species.path.resolve().parent.name / species.path.name,
        symmetry=change.symmetry or species.symmetry,
        samples=change.particles.samples,
    )
    changed.path.parent.mkdir(parents=True, exist_ok=True)
    write_particles(changed.file("particles"), change.particles)
    for kind in (*MAPS, *CARRIED):
        if species.file(kind).is_file() and not (kind == "mask" and change.mask is not None):
            if kind in MAPS and change.motion is not None:
                move_map_file(species.file(kind), changed.file(kind), change.motion)
            else:
                with atomic_write(changed.file(kind)) as partial:
                    shutil.copyfile(species.file(kind), partial)
    if change.mask is not None:
        header = read_mrc_header(species.file("half1"))
        pixel = header.pixel_size_angstrom or species.pixel_size_angstrom
        write_mrc(changed.file("mask"), change.mask.numpy(), pixel, header)
    write_species(changed.path, changed)
    population = rebased(tree.population, folder)
    members = tuple(
        MReference(one.guid, relative(changed.path, folder)) if same_guid(one.guid, species.guid) else one
        for one in population.species
    )
    write_population(population.path, replace(population, species=members))
    return population.path


def rebased(population: MPopulation, folder: Path) -> MPopulation:
    """Move a population to another folder, from where it names its members where they are."""

    def there(references: Sequence[MReference]) -> tuple[MReference, ...]:
        home = population.path.parent
        return tuple(MReference(one.guid, relative(one.below(home), folder)) for one in references)

    return replace(
        population,
        path=folder / population.path.name,
        species=there(population.species),
        sources=there(population.sources),
    )


def with_members(population: MPopulation, sources: Sequence[Path], species: Sequence[Path]) -> MPopulation:
    """Add sources and species, which are read and not changed.

    Raises
    ------
    InputError
        If a file cannot be read, or its GUID is there already.
    """
    added_sources = [(path, read_source(path).guid) for path in sources]
    added_species = [(path, read_species(path).guid) for path in species]
    home = population.path.parent
    lists = []
    for old, new in ((population.sources, added_sources), (population.species, added_species)):
        references = list(old)
        for path, guid in new:
            known = next((one for one in references if same_guid(one.guid, guid)), None)
            if known is not None:
                raise InputError(f"{path}: its GUID {guid} is there already, as {known.path}; remove that one first")
            references.append(MReference(guid, relative(path, home)))
        lists.append(tuple(references))
    return replace(population, sources=lists[0], species=lists[1])


def without_members(population: MPopulation, names: Sequence[str]) -> MPopulation:
    """Take sources and species out; their files need not be there any more.

    Raises
    ------
    InputError
        If a name fits none or several.
    """
    for name in names:
        every = (*population.sources, *population.species)
        found = [one for one in every if _is_called(one, name)]
        if len(found) != 1:
            there = shown([Path(one.path.replace("\\", "/")).stem for one in every])
            how = "no member is" if not found else f"{len(found)} members are"
            raise InputError(f"population.remove: {how} called '{name}'; there are {there}; give the GUID of one")
        population = replace(
            population,
            sources=tuple(one for one in population.sources if one is not found[0]),
            species=tuple(one for one in population.species if one is not found[0]),
        )
    return population


def _is_called(reference: MReference, name: str) -> bool:
    """Whether a name is the path of a member, its file name without extension, or the beginning of its GUID."""
    path = reference.path.replace("\\", "/")
    begins = len(name) >= _SHORTEST_GUID and reference.guid.lower().startswith(name.lower())
    return name in (reference.path, path, Path(path).name, Path(path).stem) or begins
