"""Differences of commits against moves that are known."""

from dataclasses import replace

import numpy as np
import pytest

from mlit.io.particle_table import ParticleTable
from mlit.io.particles import write_particles
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.history import open_history
from mlit.project.history_diff import compare
from mlit.project.history_store import ObjectStore

ANGLES = np.array([-20.0, 0.0, 20.0])


@pytest.fixture
def table():
    """Three particles of one series and one of another."""
    return ParticleTable(
        np.array(["A", "A", "A", "B"]),
        np.full((4, 1, 3), 100.0),
        np.array([[[10.0, 40.0, 5.0]]] * 4),
        np.array([1, 2, 1, 2]),
        np.ones(4),
    )


@pytest.fixture
def xml():
    lists = {"Angles": ANGLES, "Dose": [6, 0, 3], "AxisAngle": [0, 0, 0], "MoviePath": ["a", "b", "c"]}
    lists |= {"AxisOffsetX": [0, 0, 0], "AxisOffsetY": [0, 0, 0]}
    sizes = {"ImageDimensionsAngstrom": (500, 400), "VolumeDimensionsAngstrom": (500, 400, 200)}
    return TiltSeriesXml.new("A", lists, sizes, {"Defocus": 3.0})


def difference(tmp_path, tables, files):
    folder, commits = tmp_path / "run", []
    with_history = folder / "x" / "particles.star"
    for table, file in zip(tables, files, strict=True):
        write_particles(with_history, table)
        file.write(folder / "warp_tiltseries" / "A.xml")
        (folder / f"{len(commits)}.csv").write_text("1")
        with open_history(folder, make=True) as history:
            commits.append(history.commit("state"))
        (folder / f"{len(commits) - 1}.csv").unlink()
    first, second = commits
    return compare(ObjectStore(folder / ".mlit"), first, second, tmp_path / "scratch")


def test_shifts_and_turns_are_those_that_were_made(tmp_path, table, xml):
    position, euler = table.position_angstrom.copy(), table.euler_deg.copy()
    position[:3, 0] += [[3.0, 4.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    euler[:3, 0, 2] += [2.0, 0.0, -6.0]
    moved = xml.with_lists({"AxisOffsetX": [3.0, 0, 0], "Angles": [-20.0, 0, 20.0]})
    moved = moved.with_ctf({"Defocus": 3.25})
    found = difference(tmp_path, (table, replace(table, position_angstrom=position, euler_deg=euler)), (xml, moved))
    (file, first), (_, second) = found.particles
    assert (file, first.name, first.entries, second.name) == ("x/particles.star", "A", 3, "B")
    spread = first.shift_angstrom
    np.testing.assert_allclose([spread.rms, spread.median, spread.largest], [np.sqrt(26 / 3), 1, 5], atol=1e-4)
    spread = first.turn_deg
    np.testing.assert_allclose([spread.rms, spread.median, spread.largest], [np.sqrt(40 / 3), 2, 6], atol=1e-4)
    assert second.shift_angstrom.largest == 0
    ((_, tilts),) = found.tilts
    assert tilts.defocus_um is not None
    np.testing.assert_allclose(tilts.shift_angstrom.rms, 3 / np.sqrt(3))
    np.testing.assert_allclose([tilts.shift_angstrom.largest, tilts.defocus_um.median], [3, 0.25])
    assert tilts.turn_deg.largest < 1e-6
    assert found.files == ("- 0.csv", "+ 1.csv", "~ warp_tiltseries/A.xml", "~ x/particles.star")
    assert not found.not_compared


def test_turns_of_tilts_count(tmp_path, table, xml):
    found = difference(tmp_path, (table, table), (xml, xml.with_lists({"Angles": [-20, 0, 21.5]})))
    ((_, tilts),) = found.tilts
    np.testing.assert_allclose(tilts.turn_deg.largest, 1.5, atol=1e-9)
    np.testing.assert_allclose(tilts.turn_deg.median, 0, atol=1e-6)
    assert not found.particles


def test_what_does_not_correspond_is_said(tmp_path, table, xml):
    short = replace(
        table,
        series_name=table.series_name[1:],
        position_angstrom=table.position_angstrom[1:],
        euler_deg=table.euler_deg[1:],
        half_set=table.half_set[1:],
        weight=table.weight[1:],
    )
    fewer = TiltSeriesXml.new("A", {"Angles": [0], "Dose": [0], "AxisAngle": [0], "MoviePath": ["a"]},
                              {"ImageDimensionsAngstrom": (5, 4), "VolumeDimensionsAngstrom": (5, 4, 2)})  # fmt: skip
    found = difference(tmp_path, (table, short), (xml, fewer))
    assert not found.particles
    assert not found.tilts
    tilts, particles = found.not_compared
    assert "A has 3 tilts in one and 1 in the other" in tilts
    assert "A has 3 particles in one and 2 in the other" in particles
