import re

import pytest


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Simulate two tiny series."""
    from mlit.simulation.config import SimulationConfig
    from mlit.simulation.config_images import MicroscopeConfig, TiltSchemeConfig
    from mlit.simulation.config_sample import SampleConfig
    from mlit.simulation.simulate import simulate

    config = SimulationConfig(
        series=2,
        tilts=TiltSchemeConfig(max_angle_deg=(40.0,), step_deg=(20.0,)),
        microscope=MicroscopeConfig(width=96, height=128, pixel_size_angstrom=10.0),
        sample=SampleConfig(particles=6, thickness_angstrom=600.0, crowding=0.0, min_distance_angstrom=100.0),
    )
    folder = tmp_path_factory.mktemp("simulated") / "project"
    simulate(config, folder, lambda line: None)
    return folder


def words(project, particles=None):
    settings = f"data.settings={project}/warp_tiltseries.settings"
    return ("inspect", settings, f"data.particles={particles or project / 'particles.star'}")


def test_prints_every_series_and_the_totals(call, project, capsys):
    before = sorted(path for path in project.rglob("*"))
    assert call(*words(project), "species.diameter=230") == 0
    page = capsys.readouterr().out
    rows = [line for line in page.splitlines() if "TS_0" in line]
    assert len(rows) == 2
    assert "5 / 5" in rows[0]
    assert "-40.0 … 40.0" in rows[0]
    assert "96 × 128" in rows[0]
    assert "10.000" in rows[0]
    assert "2 series can be used, 0 set aside; 12 particles, 6 in half 1 and 6 in half 2" in page
    assert re.search(r"memory of a refinement with maps of 48 px: at least 0\.0 GiB, at most 1\.1 GiB: fitting", page)
    assert sorted(path for path in project.rglob("*")) == before


def test_diameter_is_optional(call, project, capsys):
    assert call(*words(project)) == 0
    assert "species.diameter=… adds" in capsys.readouterr().out


def test_bad_series_is_set_aside_with_its_reason(call, project, tmp_path, capsys):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    (copy / "warp_tiltseries" / "TS_01.xml").write_text("<broken")
    assert call(*words(copy)) == 0
    page = capsys.readouterr().out
    assert "set aside TS_01: " in page
    assert "TS_01.xml" in page
    assert "1 series can be used, 1 set aside" in page
    (copy / "warp_tiltseries" / "TS_02.xml").write_text("<broken")
    assert call(*words(copy)) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("mlit: ")
    assert errors.count("\n") == 1


def test_missing_file_is_named(call, project, tmp_path, capsys):
    assert call(*words(project, tmp_path / "nowhere.star")) == 2
    assert "nowhere.star" in capsys.readouterr().err


def test_inspects_a_population(call, project, tmp_path, capsys):
    import shutil

    from mlit.io.particles import read_particles, write_particles
    from mlit.project.population_tree import read_population_tree
    from tests.m_files import write_population_files

    shutil.copytree(project, tmp_path / "copy")
    path = write_population_files(tmp_path / "copy", ["TS_01", "TS_02"])
    source = tmp_path / "copy" / "warp_tiltseries" / "day1.source"
    source.write_text(source.read_text().replace('Value="2.0"', 'Value="10"'))
    species = read_population_tree(path).species[0]
    write_particles(species.file("particles"), read_particles(project / "particles.star", 10.0))
    assert call("inspect", "data=population", f"data.population={path}") == 0
    page = capsys.readouterr().out
    assert "2 series can be used, 0 set aside; 12 particles" in page
    assert "memory of a refinement" in page  # the diameter is that of the species
    assert call("inspect", "data=population", f"data.population={path}", "data.species=other") == 2
    assert "no species is called 'other'" in capsys.readouterr().err
    assert call("refine", "data=population", f"data.population={path}", f"output={path.parent / 'RUN'}") == 2
    assert "lies inside the input project" in capsys.readouterr().err
