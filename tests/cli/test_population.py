"""`mlit population`, as a person would type it."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from mlit.io.m.population import read_population
from mlit.io.mrc import read_mrc, write_mrc
from mlit.io.particles import read_particles
from mlit.io.star import write_star
from mlit.project.population_tree import read_population_tree
from tests.m_files import SOURCE_GUID, SPECIES_GUID, write_population_files

BOX, PIXEL = 24, 4.0


@pytest.fixture
def population(tmp_path):
    path = write_population_files(tmp_path / "project", ["A", "B"])
    species = read_population_tree(path).species[0]
    columns = {f"wrpCoordinate{axis}1": ["16", "30", "31", "90"] for axis in "XYZ"}
    columns |= {f"wrpAngle{angle}1": ["10", "50", "80", "170"] for angle in ("Rot", "Tilt", "Psi")}
    columns["wrpRandomSubset"] = ["1", "2", "1", "2"]
    columns["wrpSourceName"] = ["A.tomostar"] * 3 + ["B.tomostar"]
    columns["wrpSourceHash"] = ["hash_A"] * 3 + ["hash_B"]
    write_star(species.file("particles"), {"": pd.DataFrame(columns, dtype=object)})
    rng = np.random.default_rng(1)
    z, y, x = np.mgrid[:BOX, :BOX, :BOX] - BOX // 2
    density = np.exp(-(x**2 / 30 + y**2 / 15 + z**2 / 8))
    for kind in ("half1", "half2"):
        noise = gaussian_filter(rng.standard_normal(density.shape), 1.2, mode="wrap")  # without its highest frequencies
        write_mrc(species.file(kind), density + 0.3 * noise, PIXEL)
    write_mrc(species.file("mask"), density > 0.3, PIXEL)
    return path


def digest(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def act(call, population, action, *more):
    """Run an action on the population and return what it wrote, read again."""
    before = digest(population.parent.parent)
    output = population.parent.parent.parent / "out"
    assert call("population", f"action={action}", f"data.population={population}", f"output={output}", *more) == 0
    assert digest(population.parent.parent) == before
    tree = read_population_tree(output / "cells.population")
    return tree, read_particles((tree.species or read_population_tree(population).species)[0].file("particles"))


def test_expansion_of_a_species(call, population):
    tree, table = act(call, population, "expand_symmetry", "population.symmetry_to=C2")
    assert table.half_set.tolist() == [1, 1, 2, 2, 1, 1, 2, 2]
    assert list(table.source["wrpSourceHash"][:6]) == ["hash_A"] * 6
    assert (tree.species[0].symmetry, tree.species[0].guid, tree.species[0].samples) == ("C2", SPECIES_GUID, 1)
    assert tree.sources[0].path.samefile(population.parent.parent / "warp_tiltseries" / "day1.source")
    old = read_population_tree(population).species[0]
    for kind in ("half1", "half2", "mask"):
        assert tree.species[0].file(kind).read_bytes() == old.file(kind).read_bytes()


def test_a_rotated_species_has_rotated_maps(call, population):
    tree, table = act(call, population, "rotate", "population.axis=[0,0,2]", "population.angle_deg=90")
    old = read_population_tree(population).species[0]
    was, now = (read_mrc(one.file("half1"))[0] for one in (old, tree.species[0]))
    turned = np.zeros_like(was)  # x goes to y: new[z, y, x] = old[z, -x, y], about index n // 2
    turned[:, 1:, 1:] = np.rot90(was[:, 1:, 1:], -1, axes=(1, 2))
    inner = np.linalg.norm(np.mgrid[:BOX, :BOX, :BOX] - BOX // 2, axis=0) <= BOX / 3
    assert np.abs(now - turned)[inner].max() < 2e-3 < 0.1 < np.abs(now - was)[inner].max()
    mask, _ = read_mrc(tree.species[0].file("mask"))
    assert set(np.unique(mask)) == {0, 1}
    np.testing.assert_allclose(table.position_angstrom, read_particles(old.file("particles")).position_angstrom)


def test_a_table_alone_is_shifted_and_back(call, population, tmp_path):
    species = read_population_tree(population).species[0]
    particles, half = species.file("particles"), species.file("half1")
    maps = f'data.maps=["{half}"]'
    words = ("population", "action=shift", maps)
    assert call(*words, f"data.particles={particles}", "population.shift_angstrom=[8,0,-4]", "output=there") == 0
    there = tmp_path / "there" / "particles.star"
    assert call("population", "action=shift", f"data.particles={there}", "population.shift_angstrom=[-8,0,4]",
                "output=back") == 0  # fmt: skip
    old, moved, back = (read_particles(path) for path in (particles, there, tmp_path / "back" / "particles.star"))
    way = np.linalg.norm(moved.position_angstrom - old.position_angstrom, axis=-1)
    np.testing.assert_allclose(way, np.sqrt(80), atol=1e-5)
    np.testing.assert_allclose(back.position_angstrom, old.position_angstrom, atol=1e-5)
    was, now = read_mrc(half)[0], read_mrc(tmp_path / "there" / half.name)[0]
    np.testing.assert_allclose(now[:-1, :, 2:], was[1:, :, :-2], atol=1e-4)
    assert not now[:, :, :2].any()


def test_recentring_makes_a_copy_for_each_place(call, population):
    tree, table = act(call, population, "recentre", "population.point_angstrom=[0,0,12]", "population.symmetry_to=C2")
    assert tree.species[0].symmetry == "C2"
    pair = table.position_angstrom[:2, 0]
    np.testing.assert_allclose(pair.mean(0), 16, atol=1e-5)
    assert np.linalg.norm(pair[0] - pair[1]) == pytest.approx(24, abs=1e-4)


def test_duplicates_samples_and_masks(call, population, capsys, tmp_path):
    _, table = act(call, population, "dedupe", "population.distance_angstrom=5")
    log = capsys.readouterr()
    assert "1 of 4 particles dropped, 1 of them across half sets" in log.out + log.err
    assert table.particles == 3
    (tmp_path / "out").rename(tmp_path / "out1")
    tree, table = act(call, population, "resample_trajectories", "population.samples=3")
    assert table.samples == tree.species[0].samples == 3
    (tmp_path / "out").rename(tmp_path / "out2")
    tree, _ = act(call, population, "update_mask", "population.threshold=0.5", "population.extend_angstrom=4.1")
    mask, _ = read_mrc(tree.species[0].file("mask"))
    above = read_mrc(tree.species[0].file("half1"))[0] > 0.5
    assert mask[above].all()
    assert above.sum() < mask.sum() < 4 * above.sum()


def test_members_come_and_go(call, population, tmp_path, capsys):
    source = population.parent.parent / "warp_tiltseries" / "day1.source"
    species = read_population_tree(population).species[0].path
    words = (f'population.add_sources=["{source}"]', f'population.add_species=["{species}"]', "output=new/deep")
    assert call("population", "action=create", "population.name=fresh", *words) == 0
    made = read_population_tree(tmp_path / "new" / "deep" / "fresh.population")
    assert (made.sources[0].guid, made.species[0].guid) == (SOURCE_GUID, SPECIES_GUID)
    tree, _ = act(call, population, "remove", f"population.remove=[day1,{SPECIES_GUID}]")
    assert not tree.sources
    assert not tree.species
    assert "LastRefinementOptions" in (tmp_path / "out" / "cells.population").read_text(encoding="utf-8-sig")
    emptied = f"data.population={tmp_path}/out/cells.population"
    assert call("population", "action=add", emptied, words[1], "output=again") == 0
    again = read_population(tmp_path / "again" / "cells.population")
    assert [one.guid for one in again.species] == [SPECIES_GUID]
    assert call("population", "action=list", f"data.population={population}") == 0
    assert "ribo some" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("action=turn",), "there is no such action"),
        (("action=rotate",), "population.angles_deg"),
        (("action=rotate", "population.axis=[0,0,0]", "population.angle_deg=1"), "population.axis"),
        (("action=rotate", "population.angles_deg=[0,7,0]"), "expand it first"),
        (("action=shift", "population.shift_angstrom=[0,0,3]"), "expand it first"),
        (("action=shift", "population.shift_angstrom=[0,3]"), "three numbers"),
        (("action=expand_symmetry", "population.symmetry=C1"), "nothing to expand"),
        (("action=expand_symmetry", "population.symmetry_to=C3"), "no subgroup"),
        (("action=dedupe",), "population.distance_angstrom"),
        (("action=dedupe", "population.distance_angstrom=-1"), "above zero"),
        (("action=resample_trajectories", "population.samples=0"), "above zero"),
        (("action=update_mask", "population.threshold=99"), "nothing in the map is above"),
        (("action=remove", "population.remove=[nobody]"), "no member is called"),
        (("action=add",), "population.add_sources"),
        (("action=create",), "population.name"),
    ],
)
def test_wrong_input_is_refused(call, population, capsys, words, message):
    output = population.parent.parent.parent / "out"
    assert call("population", f"data.population={population}", f"output={output}", *words) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("mlit: ") == 1
    assert not (output / "cells.population").exists()


def test_a_place_in_use_or_none_is_refused(call, population, capsys, tmp_path):
    words = ("population", "action=expand_symmetry", f"data.population={population}")
    assert call(*words) == 2
    assert "give output=" in capsys.readouterr().err
    assert call(*words, f"output={population.parent}/inside") == 2
    assert "inside the input project" in capsys.readouterr().err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    assert call(*words, "output=full") == 2
    assert "is not empty" in capsys.readouterr().err


def test_masks_are_made_or_given(call, population, tmp_path):
    old = read_population_tree(population).species[0]
    tree, _ = act(call, population, "update_mask", f'population.mask="{old.file("mask")}"')
    np.testing.assert_array_equal(read_mrc(tree.species[0].file("mask"))[0], read_mrc(old.file("mask"))[0])
    (tmp_path / "out").rename(tmp_path / "out1")
    tree, table = act(call, population, "update_mask")
    mask, pixel = read_mrc(tree.species[0].file("mask"))
    assert pixel == PIXEL
    assert mask[BOX // 2, BOX // 2, BOX // 2] == pytest.approx(1)
    assert mask[0, 0, 0] == 0
    np.testing.assert_array_equal(table.euler_deg, read_particles(old.file("particles")).euler_deg)
