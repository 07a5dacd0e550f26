"""`.population`: which species and data sources belong together."""

from dataclasses import dataclass, field
from pathlib import Path

from mlit.io.file_names import checked_path
from mlit.io.m.guid import checked_guid
from mlit.io.m.params import copied, new_document, read_entries, read_params, set_entries, set_params
from mlit.io.warp.xml_document import XmlDocument, read_xml, write_xml

_ROOT, _KIND = "Population", "population file"


@dataclass(frozen=True)
class MReference:
    """Another file that a population names.

    Attributes
    ----------
    guid : str
        Identity, which the file has to repeat.
    path : str
        Relative to the population, as it is written.
    """

    guid: str
    path: str

    def below(self, folder: Path) -> Path:
        """Return the path of the file, given the folder of the population."""
        return folder / self.path.replace("\\", "/")


@dataclass(frozen=True)
class MPopulation:
    """A population.

    Attributes
    ----------
    path : Path
        Where it was read from, or shall lie.
    name : str
        For people.
    species, sources : tuple of MReference
        In file order.
    document : XmlDocument
        The whole file; what mlit does not know, such as `LastRefinementOptions`, is written back from it.
    """

    path: Path
    name: str
    species: tuple[MReference, ...]
    sources: tuple[MReference, ...]
    document: XmlDocument = field(repr=False, compare=False, default_factory=lambda: new_document(_ROOT))


def read_population(path: Path | str) -> MPopulation:
    """Read a population.

    Raises
    ------
    InputError
        If the file is absent or damaged, or a reference lacks its GUID or path.
    """
    path = Path(path)
    document = read_xml(path, _ROOT, _KIND)
    return MPopulation(
        path=path,
        name=read_params(document.root, str(path)).get("Name", ""),
        species=_references(document, "Species/Species", path),
        sources=_references(document, "Sources/Source", path),
        document=document,
    )


def write_population(path: Path | str, population: MPopulation) -> None:
    """Write a population, complete or not at all; raises `InputError` if the place cannot be written to."""
    document = copied(population.document)
    set_params(document.root, {"Name": population.name})
    for list_name, entry, references in (
        ("Species", "Species", population.species),
        ("Sources", "Source", population.sources),
    ):
        set_entries(document.root, list_name, entry, ({"GUID": one.guid, "Path": one.path} for one in references))
    write_xml(path, document)


def _references(document: XmlDocument, place: str, path: Path) -> tuple[MReference, ...]:
    references = []
    for number, entry in enumerate(read_entries(document.root, place, ("GUID", "Path"), str(path)), start=1):
        where = f"{path}: {place} {number}"
        checked_path(entry["Path"], f"{where}: Path")
        references.append(MReference(checked_guid(entry["GUID"], where), entry["Path"]))
    return tuple(references)
