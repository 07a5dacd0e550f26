"""Every real file beside the repository that mlit claims to read: read, written and read again without loss."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lxml.etree as etree
import numpy as np
import pandas as pd
import pytest

from mlit.io.aretomo.alignment import read_alignment, write_alignment
from mlit.io.imod.angles import read_angles, write_angles
from mlit.io.imod.local_alignment import read_local_alignment, write_local_alignment
from mlit.io.imod.tilt_command import read_tilt_command, write_tilt_command
from mlit.io.imod.transforms import read_transforms, write_transforms
from mlit.io.m.population import read_population, write_population
from mlit.io.m.source import read_source, write_source
from mlit.io.m.species import read_species, write_species
from mlit.io.particles import read_particles, write_particles
from mlit.io.star import read_star, write_star
from mlit.io.warp.settings import read_settings, write_settings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.io.warp.tomostar import read_tomostar, write_tomostar
from tests.support import SHARED

PIXEL = "rlnTomoTiltSeriesPixelSize"
FOLDERS = ("data/metadata", "golden", "data/ribosome5", "data/empiar10499")
TILTS_OF_LOCAL = {"midzone2alocal.xf": 81}
OTHERS = {  # files that other tests read, or nobody
    "relion5_empiar10164": "RELION",
    "truth": "for judging",
    ".json": "values to compare with",
    ".md": "text",
    ".txt": "text",
    ".mrc": "images",
    ".zfac": "Z factors of tiltalign, which Warp has no place for",
}


@dataclass(frozen=True)
class Format:
    """How a kind of file is read and written, and whether nothing at all may change in it."""

    read: Callable[[Path], Any]
    write: Callable[[Path, Any], None]
    to_the_letter: bool = True


TEXT = {
    ".tlt": Format(read_angles, write_angles),
    ".xtilt": Format(read_angles, write_angles),
    ".xf": Format(read_transforms, write_transforms),
    ".tltxf": Format(read_transforms, write_transforms),
    ".com": Format(read_tilt_command, write_tilt_command),
    ".aln": Format(read_alignment, write_alignment),
    ".xml": Format(TiltSeriesXml.read, lambda path, xml: xml.write(path)),
    ".population": Format(read_population, write_population),
    ".source": Format(read_source, write_source),
    ".species": Format(read_species, write_species),
    ".settings": Format(read_settings, write_settings),
    ".star": Format(read_star, write_star, to_the_letter=False),
    ".tomostar": Format(read_tomostar, write_tomostar, to_the_letter=False),
}


def is_left_to_others(path: Path) -> bool:
    return path.suffix in OTHERS or any(part in OTHERS for part in path.parts)


FILES = sorted(path for folder in FOLDERS for path in (SHARED / folder).rglob("*") if path.is_file())
CLAIMED = [path for path in FILES if not is_left_to_others(path)]


def format_of(path: Path) -> Format:
    if path.name in TILTS_OF_LOCAL:
        tilts = TILTS_OF_LOCAL[path.name]
        return Format(lambda p: read_local_alignment(p, tilts), write_local_alignment)
    return TEXT[path.suffix]


def canonical(path: Path) -> bytes:
    """Return the content without what carries no meaning: white space, or the order of attributes in XML."""
    content = path.read_bytes()
    if content.lstrip(b"\xef\xbb\xbf").startswith(b"<?xml"):
        buffer = io.BytesIO()
        etree.parse(str(path)).write_c14n(buffer)
        return buffer.getvalue()
    return b"\n".join(b" ".join(line.split()) for line in content.splitlines())


def same(one: Any, other: Any) -> bool:
    """Compare what was read, field by field."""
    if isinstance(one, pd.DataFrame):
        return one.equals(other)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "__dataclass_fields__"):
        names = set(one.__dataclass_fields__) - {"path", "document"}
        return all(same(getattr(one, name), getattr(other, name)) for name in names)
    return one == other or one is other


@pytest.mark.skipif(not FILES, reason="reference files are not beside the repository")
def test_every_file_has_a_reader_or_a_reason():
    unknown = [path for path in CLAIMED if path.suffix not in TEXT and path.name not in TILTS_OF_LOCAL]
    assert not unknown
    assert len(CLAIMED) > 20


@pytest.mark.parametrize("path", CLAIMED, ids=lambda path: str(path.relative_to(SHARED)))
def test_nothing_is_lost(path, tmp_path):
    form = format_of(path)
    source, out = tmp_path / f"in_{path.name}", tmp_path / path.name
    source.write_bytes(path.read_bytes())  # folders in settings count from the file
    found = form.read(source)
    form.write(out, found)
    assert same(form.read(out), found)
    if form.to_the_letter:
        assert canonical(out) == canonical(path)
    if path.suffix in (".star", ".tomostar"):  # columns are laid out anew, but every value is the same text
        assert same(read_star(out), read_star(path))


@pytest.mark.parametrize("path", [p for p in CLAIMED if p.suffix == ".star"], ids=lambda path: path.name)
def test_particle_tables_keep_rows_poses_and_unknown_columns(path, tmp_path):
    columns = [name for table in read_star(path).values() for name in table.columns]
    if not {"wrpCoordinateX1", "rlnCoordinateX", "rlnCenteredCoordinateXAngst"} & set(columns):
        return  # a table of another kind
    if "wrpAngleRot1" not in columns and "rlnAngleRot" not in columns:
        return  # places of projections, not particles
    tables = read_star(path).values()
    pixels = [float(t[PIXEL].iloc[0]) for t in tables if PIXEL in t.columns]
    first = read_particles(path, pixels or 1.0, (4000.0, 4000.0, 2000.0))
    write_particles(tmp_path / "out.star", first)
    second = read_particles(tmp_path / "out.star")
    np.testing.assert_allclose(second.position_angstrom, first.position_angstrom, atol=1e-6)
    np.testing.assert_allclose(second.euler_deg, first.euler_deg, atol=1e-6)
    np.testing.assert_array_equal(second.half_set, first.half_set)
    np.testing.assert_array_equal(second.series_name, first.series_name)
    kept = [name for name in first.source.columns if not name.startswith(("wrp", "rln"))]
    assert set(kept) <= set(second.source.columns)
    if "wrpSourceHash" in first.source:
        assert second.source["wrpSourceHash"].tolist() == first.source["wrpSourceHash"].tolist()
