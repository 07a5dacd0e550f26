"""`.species`: one molecule of a population, and the names of its files.

`Version` is M's hash over particles and maps. mlit carries it through: M takes it as it is and computes its own when it
commits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlit.errors import InputError
from mlit.io.m.guid import checked_guid
from mlit.io.m.params import changed_numbers, copied, new_document, read_entries, read_params, set_entries, set_params
from mlit.io.m.versioned import Versioned, identity
from mlit.io.numbers import parse_bool, parse_integer, parse_number, parse_positive
from mlit.io.warp.xml_document import XmlDocument, read_xml, write_xml

_ROOT, _KIND = "Species", "species file"
_MOST_SAMPLES = 1000

FILES = {
    "particles": "_particles.star",
    "half1": "_half1.mrc",
    "half2": "_half2.mrc",
    "mask": "_mask.mrc",
    "filtered": "_filt.mrc",
    "sharpened": "_filtsharp.mrc",
    "anisotropic": "_filtanisotropic.mrc",
    "local": "_filtlocal.mrc",
    "denoised": "_denoised.mrc",
    "network": "_noisenet.pt",
    "local_resolution": "_localres.mrc",
    "local_bfactor": "_localbfac.mrc",
    "directional_resolution": "_anisores.mrc",
    "resolution_histogram": "_localres.star",
    "fsc": "_fsc.star",
    "angular_distribution": "_angdist.mrc",
}


@dataclass(frozen=True)
class MSpecies(Versioned):
    """A species, whose other files have the same stem.

    Attributes
    ----------
    pixel_size_angstrom, diameter_angstrom : float
        Of the maps, of the molecule.
    symmetry : str
        Point group.
    samples : int
        Poses of a particle over the exposure.
    ewald, ewald_reverse : bool
        Whether the curvature of the Ewald sphere counts in alignment, and its sign.
    resolution_angstrom : float
        At the last commit; -1 where there was none.
    used_sources : mapping of str to str
        Versions of the data sources that it was refined from last, by GUID.
    document : XmlDocument
        The whole file; what mlit does not know is written back from it.
    """

    pixel_size_angstrom: float
    diameter_angstrom: float
    symmetry: str
    samples: int
    ewald: bool
    ewald_reverse: bool
    resolution_angstrom: float
    used_sources: Mapping[str, str]
    document: XmlDocument = field(repr=False, compare=False, default_factory=lambda: new_document(_ROOT))

    def file(self, kind: str) -> Path:
        """Return the path of one of its `FILES`, by M's names."""
        return self.path.with_name(self.path.name.removesuffix(".species") + FILES[kind])


def read_species(path: Path | str) -> MSpecies:
    """Read a species.

    Raises
    ------
    InputError
        If the file is absent or damaged, or a value is missing or impossible.
    """
    path = Path(path)
    document = read_xml(path, _ROOT, _KIND)
    params = read_params(document.root, str(path))
    sources = read_entries(document.root, "UsedDataSources/DataSource", ("GUID", "Version"), str(path))
    samples = parse_integer(params.get("TemporalResolutionMovement", "1"), f"{path}: TemporalResolutionMovement")
    if not 1 <= samples <= _MOST_SAMPLES:
        raise InputError(f"{path}: TemporalResolutionMovement is {samples}; it is 1 to {_MOST_SAMPLES}")
    return MSpecies(
        **identity(path, params),
        pixel_size_angstrom=parse_positive(params.get("PixelSize"), f"{path}: PixelSize"),
        diameter_angstrom=parse_positive(params.get("DiameterAngstrom"), f"{path}: DiameterAngstrom"),
        symmetry=params.get("Symmetry", "C1"),
        samples=samples,
        ewald=parse_bool(params.get("DoEwald", "False"), f"{path}: DoEwald"),
        ewald_reverse=parse_bool(params.get("EwaldReverse", "True"), f"{path}: EwaldReverse"),
        resolution_angstrom=parse_number(params.get("GlobalResolution", "-1"), f"{path}: GlobalResolution"),
        used_sources={checked_guid(s["GUID"], f"{path}: UsedDataSources"): s["Version"] for s in sources},
        document=document,
    )


def write_species(path: Path | str, species: MSpecies) -> None:
    """Write a species, complete or not at all; raises `InputError` if the place cannot be written to."""
    document = copied(species.document)
    old = read_params(document.root, str(species.path))
    params = {
        "GUID": species.guid,
        "Version": species.version,
        "PreviousVersion": species.previous_version,
        "Name": species.name,
        "Symmetry": species.symmetry,
        "DoEwald": str(species.ewald),
        "EwaldReverse": str(species.ewald_reverse),
    }
    numbers = {
        "PixelSize": species.pixel_size_angstrom,
        "DiameterAngstrom": species.diameter_angstrom,
        "TemporalResolutionMovement": species.samples,
        "GlobalResolution": species.resolution_angstrom,
    }
    params |= changed_numbers(old, numbers)
    if "TemporalResolutionMovement" in params:
        params["TemporalResolutionRotation"] = params["TemporalResolutionMovement"]
    changed = {name: value for name, value in params.items() if old.get(name, "").lower() != value.lower()}
    set_params(document.root, changed)
    used = ({"GUID": guid, "Version": version} for guid, version in species.used_sources.items())
    set_entries(document.root, "UsedDataSources", "DataSource", used)
    write_xml(path, document)
