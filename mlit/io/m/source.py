"""`.source`: the series of one data set as M sees them.

`Version` is M's hash over the metadata of all series. mlit cannot compute it without M, nor the hash of a series, which
is taken over raw data; both are carried through. M takes any version as it is and computes its own when it commits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlit.errors import InputError
from mlit.io.file_names import checked_name
from mlit.io.m.guid import checked_guid
from mlit.io.m.params import changed_numbers, copied, new_document, read_entries, read_params, set_entries, set_params
from mlit.io.m.versioned import Versioned, identity
from mlit.io.numbers import parse_positive
from mlit.io.warp.xml_document import XmlDocument, read_xml, write_xml

_ROOT, _KIND = "DataSource", "data source"
_LARGEST_DIMENSION_PX, _LARGEST_PIXEL_ANGSTROM = 1e6, 1e4


@dataclass(frozen=True)
class MSourceFile:
    """One series of a source.

    Attributes
    ----------
    hash : str
        M's hash of its raw data, by which particles name it.
    name : str
        File name such as `TS_01.tomostar`, relative to the source.
    """

    hash: str
    name: str

    @property
    def series_name(self) -> str:
        """Name of the series, as its XML is called."""
        return self.name.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".tomostar")


@dataclass(frozen=True)
class MSource(Versioned):
    """A data source, in the folder of the XML files of its series.

    Attributes
    ----------
    pixel_size_angstrom : float
        Of unbinned images.
    dimensions_px : tuple of float
        x, y, z of tomograms in those pixels.
    files : tuple of MSourceFile
        Its series in file order.
    used_species : mapping of str to str
        Versions of the species that refined it last, by GUID.
    document : XmlDocument
        The whole file; what mlit does not know is written back from it.
    """

    pixel_size_angstrom: float
    dimensions_px: tuple[float, float, float]
    files: tuple[MSourceFile, ...]
    used_species: Mapping[str, str]
    document: XmlDocument = field(repr=False, compare=False, default_factory=lambda: new_document(_ROOT))

    @property
    def is_tilt_series(self) -> bool:
        """Whether these are tilt series, by M's rule."""
        return bool(self.files) and ".tomostar" in self.files[0].name


def read_source(path: Path | str) -> MSource:
    """Read a data source.

    Raises
    ------
    InputError
        If the file is absent or damaged, or a value is missing or impossible.
    """
    path = Path(path)
    document = read_xml(path, _ROOT, _KIND)
    params = read_params(document.root, str(path))
    files = read_entries(document.root, "Files/File", ("Hash", "Name"), str(path))
    species = read_entries(document.root, "UsedSpecies/Species", ("GUID", "Version"), str(path))
    pixel = params.get("PixelSizeX", params.get("PixelSize"))  # the first is that of old files, and M's choice
    return MSource(
        **identity(path, params),
        pixel_size_angstrom=_bounded(pixel, f"{path}: PixelSize", _LARGEST_PIXEL_ANGSTROM),
        dimensions_px=(_dimension(params, "X", path), _dimension(params, "Y", path), _dimension(params, "Z", path)),
        files=tuple(_file(entry, path) for entry in files),
        used_species={checked_guid(s["GUID"], f"{path}: UsedSpecies"): s["Version"] for s in species},
        document=document,
    )


def write_source(path: Path | str, source: MSource) -> None:
    """Write a data source, complete or not at all; raises `InputError` if the place cannot be written to."""
    document = copied(source.document)
    params = {
        "GUID": source.guid,
        "Version": source.version,
        "PreviousVersion": source.previous_version,
        "Name": source.name,
    }
    old = read_params(document.root, str(source.path))
    pixel_name = "PixelSizeX" if "PixelSizeX" in old else "PixelSize"
    numbers = {pixel_name: source.pixel_size_angstrom}
    numbers |= {f"Dimensions{axis}": size for axis, size in zip("XYZ", source.dimensions_px, strict=True)}
    params |= changed_numbers(old, numbers)
    set_params(document.root, params)
    used = ({"GUID": guid, "Version": version} for guid, version in source.used_species.items())
    set_entries(document.root, "UsedSpecies", "Species", used)
    set_entries(document.root, "Files", "File", ({"Hash": f.hash, "Name": f.name} for f in source.files))
    write_xml(path, document)


def _file(entry: Mapping[str, str], path: Path) -> MSourceFile:
    checked_name(entry["Name"], f"{path}: File Name")
    return MSourceFile(entry["Hash"], entry["Name"])


def _dimension(params: Mapping[str, str], axis: str, path: Path) -> float:
    return _bounded(params.get(f"Dimensions{axis}"), f"{path}: Dimensions{axis}", _LARGEST_DIMENSION_PX)


def _bounded(text: str | None, where: str, largest: float) -> float:
    value = parse_positive(text, where)
    if value > largest:
        raise InputError(f"{where} is {value:g}; it is {largest:g} at most")
    return value
