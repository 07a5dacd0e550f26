import io
from dataclasses import replace
from pathlib import Path

import lxml.etree as etree
import pytest

from mlit.errors import InputError
from mlit.io.m.population import MPopulation, MReference, read_population, write_population
from mlit.io.m.source import MSource, MSourceFile, read_source, write_source
from mlit.io.m.species import read_species, write_species
from tests.m_files import SOURCE_GUID, SPECIES_GUID, write_population_files

READ = {"population": read_population, "source": read_source, "species": read_species}
WRITE = {"population": write_population, "source": write_source, "species": write_species}


def canonical(path: Path) -> bytes:
    buffer = io.BytesIO()
    etree.parse(str(path)).write_c14n(buffer)
    return buffer.getvalue()


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    population = write_population_files(tmp_path, ["A", "B"])
    return {
        "population": population,
        "source": tmp_path / "warp_tiltseries" / "day1.source",
        "species": population.parent / "species" / "ribo some_9f8e7d6c" / "ribo some.species",
    }


@pytest.mark.parametrize("kind", READ)
def test_files_come_back_as_they_were(files, kind, tmp_path):
    found = READ[kind](files[kind])
    out = tmp_path / f"out.{kind}"
    WRITE[kind](out, found)
    assert canonical(out) == canonical(files[kind])
    assert out.read_bytes()[:20] == files[kind].read_bytes()[:20]
    assert READ[kind](out) == replace(found, path=out)


def test_what_is_read(files):
    population, source, species = (READ[kind](files[kind]) for kind in READ)
    assert population.name == "cells"
    assert population.species == (MReference(SPECIES_GUID, r"species\ribo some_9f8e7d6c\ribo some.species"),)
    assert population.species[0].below(files["population"].parent) == files["species"]
    assert source.files == (MSourceFile("hash_A", "A.tomostar"), MSourceFile("hash_B", "B.tomostar"))
    assert (source.pixel_size_angstrom, source.dimensions_px) == (2.0, (48.0, 32.0, 20.0))
    assert source.is_tilt_series
    assert source.used_species == {SPECIES_GUID: "0123abcd"}
    assert (species.diameter_angstrom, species.symmetry, species.samples) == (40.0, "D2", 2)
    assert species.file("half1") == files["species"].parent / "ribo some_half1.mrc"
    assert species.file("particles").name == "ribo some_particles.star"


def test_changes_are_written_and_nothing_else(files, tmp_path):
    source = read_source(files["source"])
    changed = replace(source, name="day 2", files=(*source.files[1:], MSourceFile("new", "C.tomostar")))
    write_source(tmp_path / "out.source", changed)
    text = (tmp_path / "out.source").read_text(encoding="utf-8-sig")
    assert read_source(tmp_path / "out.source") == replace(changed, path=tmp_path / "out.source")
    assert '<File Hash="hash_B" Name="B.tomostar" Weight="1" Bfactor="0"/>' in text
    assert 'Value="48.0"' in text
    assert "hash_A" not in text
    species = replace(read_species(files["species"]), samples=3, resolution_angstrom=7.5)
    write_species(tmp_path / "out.species", species)
    text = (tmp_path / "out.species").read_text(encoding="utf-8-sig")
    assert 'Name="TemporalResolutionRotation" Value="3"' in text
    assert '<Future Deep="yes">text</Future>' in text
    assert 'Name="PixelSize" Value="4.00"' in text


def test_new_files_can_be_made(tmp_path):
    population = MPopulation(tmp_path / "n.population", "n", (MReference(SPECIES_GUID, "a/b.species"),), ())
    write_population(population.path, population)
    assert read_population(population.path) == population
    source = MSource(
        tmp_path / "s.source", SOURCE_GUID, "s", "", "", 1.5, (10.0, 11.0, 12.0), (MSourceFile("h", "T.tomostar"),), {}
    )
    write_source(source.path, source)
    assert read_source(source.path) == source


@pytest.mark.parametrize(
    ("kind", "old", "new", "words"),
    [
        ("population", SPECIES_GUID, "no-guid", "is no GUID"),
        ("population", 'Path="species', 'Wrong="species', "has no Path"),
        ("source", "A.tomostar", "../../A.tomostar", "leads out of its folder"),
        ("source", "A.tomostar", "/etc/passwd", "leads out of its folder"),
        ("source", "A.tomostar", "C:/x/A.tomostar", "leads out of its folder"),
        ("source", 'Value="2.0"', 'Value="nan"', "not a finite number"),
        ("source", 'Value="48.0"', 'Value="1e12"', "at most"),
        ("species", 'Value="40"', 'Value="0"', "above zero"),
        ("species", 'Movement" Value="2"', 'Movement" Value="1000000000"', "it is 1 to"),
    ],
)
def test_wrong_files_are_refused(files, kind, old, new, words):
    text = files[kind].read_text(encoding="utf-8")
    assert old in text
    files[kind].write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=words) as error:
        READ[kind](files[kind])
    assert str(files[kind]) in str(error.value)
