import numpy as np
import pandas as pd
import pytest

from mlit.errors import InputError
from mlit.io.mrc import write_mrc
from mlit.io.particles import read_particles, write_particles
from mlit.io.star import write_star
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.population_project import load_population_project
from mlit.project.population_results import SpeciesResult, write_population_results
from mlit.project.population_tree import read_population_tree
from mlit.project.warp_project import load_warp_project
from tests.m_files import SPECIES_GUID, write_population_files

NAMES = ["A", "A", "B", "B", "B", "C", "C"]


@pytest.fixture
def population(tiny):
    path = write_population_files(tiny.root, ["A", "B", "C"])
    species = read_population_tree(path).species[0]
    count = len(NAMES)
    columns = {f"wrpCoordinate{axis}{k}": [str(16 + i % 3) for i in range(count)] for k in (1, 2) for axis in "XYZ"}
    columns |= {f"wrpAngle{angle}{k}": ["10"] * count for k in (1, 2) for angle in ("Rot", "Tilt", "Psi")}
    columns["wrpRandomSubset"] = ["1", "2"] * 3 + ["1"]
    columns["wrpSourceName"] = [f"{name}.tomostar" for name in NAMES]
    columns["wrpSourceHash"] = [f"hash_{name}" for name in NAMES]
    write_star(species.file("particles"), {"": pd.DataFrame(columns, dtype=object)})
    return path


def test_a_population_is_read_as_the_project_of_warp(tiny, population):
    project = load_population_project(population)
    warp = load_warp_project(tiny.settings, tiny.particles)
    assert [series.name for series in project.series] == ["A", "B", "C"]
    assert project.pixel_size_angstrom == warp.pixel_size_angstrom == 4.0  # binning from the headers of the images
    assert project.settings_path == population
    assert project.particles.samples == 2
    assert [len(series.particle_index) for series in project.series] == [2, 3, 2]
    for one, other in zip(project.series, warp.series, strict=True):
        assert one.geometry.tilt_angle_rad.equal(other.geometry.tilt_angle_rad)
        assert one.geometry.volume_size_angstrom.equal(other.geometry.volume_size_angstrom)
        assert [path.resolve() for path in one.image_paths] == [path.resolve() for path in other.image_paths]


def test_particles_name_their_series_by_hash(tiny, population):
    path = read_population_tree(population).species[0].file("particles")
    path.write_text(path.read_text().replace("A.tomostar", "was_called_otherwise.tomostar"))
    assert len(load_population_project(population).series[0].particle_index) == 2
    path.write_text(path.read_text().replace("hash_A", "unknown"))
    project = load_population_project(population)
    assert [series.name for series in project.series] == ["B", "C"]
    assert "2 particles name this series" in project.failures["was_called_otherwise"]


def test_a_broken_series_is_set_aside(tiny, population):
    tiny.xml("B").write_text("<TiltSeries")
    project = load_population_project(population, series_glob=["A", "B"])
    assert [series.name for series in project.series] == ["A"]
    assert "damaged" in project.failures["B"]


def test_sources_are_united_and_equal_names_refused(tiny, population):
    source = tiny.root / "warp_tiltseries" / "day1.source"
    first, second = source.read_text(), source.read_text()
    rows = [f'\t\t<File Hash="hash_{n}" Name="{n}.tomostar" Weight="1" Bfactor="0" />\n' for n in "ABC"]
    for row in (rows[1], rows[2]):
        assert row in first or row.rstrip("\n") in first
        first = first.replace(row, "").replace(row.rstrip("\n"), "")
    other = "11111111-0000-4000-8000-000000000009"
    guid = read_population_tree(population).sources[0].guid
    (tiny.root / "warp_tiltseries" / "day2.source").write_text(second.replace(guid, other))
    tiny.edit(population, "</Sources>", f'<Source GUID="{other}" Path="../warp_tiltseries/day2.source" /></Sources>')
    with pytest.raises(InputError, match="has a series A, as has"):
        load_population_project(population)
    source.write_text(first)
    second = second.replace(rows[0], "").replace(guid, other)
    (tiny.root / "warp_tiltseries" / "day2.source").write_text(second)
    assert [series.name for series in load_population_project(population).series] == ["A", "B", "C"]


def test_species_are_chosen_by_name_or_guid(population):
    tree = read_population_tree(population)
    assert tree.choose_species(None) is tree.species[0]
    assert tree.choose_species("ribo some") is tree.choose_species(SPECIES_GUID[:8])
    with pytest.raises(InputError, match="no species is called 'x'"):
        tree.choose_species("x")
    text = population.read_text(encoding="utf-8")
    start, stop = text.index("\t\t<Species GUID"), text.index("\t</Species>")
    population.write_text(text[:stop] + text[start:stop] + text[stop:], encoding="utf-8")
    with pytest.raises(InputError, match=r"choose one with data\.species"):
        load_population_project(population)


def test_a_foreign_source_is_refused(tiny, population):
    source = tiny.root / "warp_tiltseries" / "day1.source"
    guid = read_population_tree(population).sources[0].guid
    tiny.edit(source, guid, "22222222-0000-4000-8000-000000000009")
    with pytest.raises(InputError, match="give the file that belongs to this population"):
        load_population_project(population)


def test_frame_series_are_refused(tiny, population):
    source = tiny.root / "warp_tiltseries" / "day1.source"
    source.write_text(source.read_text().replace(".tomostar", ".tif"))
    with pytest.raises(InputError, match="source of frame series"):
        load_population_project(population)


def test_results_are_a_population_that_can_be_read_again(tiny, population, tmp_path):
    tree = read_population_tree(population)
    run, results = tmp_path / "RUN", tmp_path / "RUN" / "ribosome"
    table = load_population_project(population, exclude=["C"]).particles
    write_particles(results / "particles.star", table)
    for name in ("half1", "half2"):
        write_mrc(results / f"{name}.mrc", np.ones((8, 8, 8), np.float32), 4.0)
    for name in ("A", "B"):
        TiltSeriesXml.read(tiny.xml(name)).write(run / "warp_tiltseries" / f"{name}.xml")
    path = write_population_results(run, tree, {tree.species[0].guid: SpeciesResult(results, 7.25)})
    written = read_population_tree(path)
    assert path == run / "m" / "cells.population"
    assert [file.name for file in written.sources[0].files] == ["A.tomostar", "B.tomostar"]
    species = written.species[0]
    assert species.path.resolve().is_relative_to(run / "m" / "species" / "ribo some_9f8e7d6c")
    assert (species.guid, species.version) == (tree.species[0].guid, tree.species[0].version)
    assert (species.samples, species.resolution_angstrom, species.pixel_size_angstrom) == (2, 7.25, 4.0)
    assert species.file("half2").read_bytes() == (results / "half2.mrc").read_bytes()
    assert 'Name="NIterations" Value="3"' in path.read_text(encoding="utf-8")
    again = read_particles(species.file("particles"))
    np.testing.assert_allclose(again.position_angstrom, table.position_angstrom)
    assert again.source["wrpSourceHash"].tolist() == table.source["wrpSourceHash"].tolist()
    assert read_population_tree(population).species[0] == tree.species[0]  # the input is untouched
    resumed = load_population_project(path)
    assert [series.name for series in resumed.series] == ["A", "B"]
    assert "has no particles" not in resumed.failures.values()
