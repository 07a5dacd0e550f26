"""A population of M with the sources and species that it names, read and checked against each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mlit.errors import InputError
from mlit.io.m.guid import same_guid
from mlit.io.m.population import MPopulation, MReference, read_population
from mlit.io.m.source import MSource, read_source
from mlit.io.m.species import MSpecies, read_species
from mlit.project.selection import shown

_SHORTEST_GUID = 4
Member = TypeVar("Member", MSource, MSpecies)


@dataclass(frozen=True)
class PopulationTree:
    """A population and what belongs to it.

    Attributes
    ----------
    population : MPopulation
        The file itself.
    sources : tuple of MSource
        Its data sources, in file order.
    species : tuple of MSpecies
        Its species, in file order.
    """

    population: MPopulation
    sources: tuple[MSource, ...]
    species: tuple[MSpecies, ...]

    def choose_species(self, wanted: str | None) -> MSpecies:
        """Return a species by its name or the beginning of its GUID; the only one where nothing is wanted.

        Raises
        ------
        InputError
            If there is none, or the choice is not clear.
        """
        path, names = self.population.path, [one.name for one in self.species]
        if not names:
            raise InputError(f"{path}: holds no species; add one in M")
        if wanted is None and len(names) > 1:
            raise InputError(f"{path}: holds the species {shown(names)}; choose one with data.species=NAME")
        found = [s for s in self.species if wanted in (None, s.name)]
        if wanted is not None and len(wanted) >= _SHORTEST_GUID and not found:
            found = [s for s in self.species if s.guid.lower().startswith(wanted.lower())]
        if len(found) != 1:
            how = "no species is" if not found else f"{len(found)} species are"
            raise InputError(f"{path}: {how} called '{wanted}'; there are {shown(names)}; give the GUID of one")
        return found[0]


def read_population_tree(path: Path | str) -> PopulationTree:
    """Read a population and all files that it names.

    Raises
    ------
    InputError
        If a file is absent or damaged, or has another GUID than the population says, which M refuses too.
    """
    population = read_population(path)
    return PopulationTree(
        population,
        _members(population, population.sources, read_source),
        _members(population, population.species, read_species),
    )


def _members(
    population: MPopulation, references: Sequence[MReference], read: Callable[[Path], Member]
) -> tuple[Member, ...]:
    members = []
    for reference in references:
        member = read(reference.below(population.path.parent))
        if not same_guid(member.guid, reference.guid):
            raise InputError(
                f"{population.path}: says that {reference.path} has the GUID {reference.guid}, but it has "
                f"{member.guid}; give the file that belongs to this population"
            )
        members.append(member)
    return tuple(members)
