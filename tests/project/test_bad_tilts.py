"""Tables of bad tilts: what they name, what they are refused for, and that every kind of project obeys."""

import re

import numpy as np
import pandas as pd
import pytest

from mlit.errors import InputError
from mlit.io.particles import read_particles, write_particles
from mlit.io.star import read_star, write_star
from mlit.project.bad_tilts import read_bad_tilts
from mlit.project.population_project import load_population_project
from mlit.project.population_tree import read_population_tree
from mlit.project.relion_files import find_files
from mlit.project.relion_project import load_relion_project
from mlit.project.suspects import Suspect, write_suspects
from mlit.project.warp_project import load_warp_project
from tests.m_files import write_population_files
from tests.project.relion_support import write_relion_project

USED = [True, True, True, False]  # of the tiny project, as its files say


def table(path, *rows, separator=","):
    path.write_text("\n".join(separator.join(row) for row in [("series", "tilt", "reason"), *rows]) + "\n")
    return path


def used(project, name):
    series = next(one for one in project.series if one.name == name)
    assert series.use_tilt.tolist() == series.xml.use_tilt.tolist()  # what is used is what is written
    return series.use_tilt.tolist()


def load(tiny, path):
    return load_warp_project(tiny.settings, tiny.particles, bad_tilts=path)


@pytest.mark.parametrize(
    "tilt",
    [
        "2",
        "A_1_0.0",
        "A_1_0.0.tif",
        "A_1_0.0.mrc",
        "../warp_frameseries/A_1_0.0.tif",
    ],
)
def test_a_tilt_is_named_by_number_or_by_its_image(tiny, tmp_path, tilt):
    project = load(tiny, table(tmp_path / "bad.csv", ("A", tilt, "ice")))
    assert used(project, "A") == [True, False, True, False]
    assert used(project, "B") == USED
    assert project.input_paths[-1] == tmp_path / "bad.csv"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_of_spreadsheets_are_read(tiny, tmp_path, separator):
    path = table(tmp_path / "bad.csv", ("x/A.tomostar", "1", "dark"), ("C.xml", "3", ""), separator=separator)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    project = load(tiny, path)
    assert used(project, "A") == [False, True, True, False]
    assert used(project, "C") == [True, True, False, False]


def test_star_tables_are_read(tiny, tmp_path):
    path = tmp_path / "bad.star"
    write_star(path, {"": pd.DataFrame({"series": ["B"], "tilt": ["1"], "reason": ["half dark"]}, dtype=object)})
    assert used(load(tiny, path), "B") == [False, True, True, False]


def test_suspects_of_a_run_are_such_a_table(tiny, tmp_path):
    path = tmp_path / "suspects.csv"
    suspects = [
        Suspect("A", "false pick", 1, -3.0, 0.1),
        Suspect("A", "weak tilt", 2, 1.0, 0.2),
        Suspect("B", "shaded tilt", 3, 1.0, 0.5),
    ]
    write_suspects(path, suspects)
    project = load(tiny, path)
    assert [used(project, name) for name in "ABC"] == [[True, False, True, False], [True, True, False, False], USED]
    assert [row.reason for row in read_bad_tilts(path).rows] == ["weak tilt", "shaded tilt"]


def test_the_image_of_a_bad_tilt_may_be_missing(tiny, tmp_path):
    tiny.image("A", 1).unlink()
    assert "A" in load(tiny, None).failures
    assert used(load(tiny, table(tmp_path / "bad.csv", ("A", "2", "lost"))), "A") == [True, False, True, False]


def test_a_series_without_any_tilt_is_set_aside(tiny, tmp_path):
    project = load(tiny, table(tmp_path / "bad.csv", *(("A", str(tilt), "") for tilt in (1, 2, 3))))
    assert f"{tmp_path}/bad.csv switches all tilts off" == project.failures["A"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("Z", "1", ""), r"row 1: series 'Z' is none of A, B, C"),
        (("A", "5", ""), r"row 1: A has tilts 1 to 4, not 5"),
        (("A", "0", ""), r"row 1: A has tilts 1 to 4, not 0"),
        (("A", "-40.0", ""), r"row 1: tilt '-40.0' is no image of A; .*not its angle"),
        (("A", "B_1_0.0", ""), r"row 1: tilt 'B_1_0.0' is no image of A"),
        (("A", "", "dark"), r"row 1: has no tilt; fill it in"),
        (("", "1", "dark"), r"row 1: has no series; fill it in"),
        (("A",), r"row 1: has no tilt"),
        (("A", '"1', ""), r"line 1: unexpected end of data"),
    ],
)
def test_what_fits_nothing_is_refused(tiny, tmp_path, row, message):
    path = table(tmp_path / "bad.csv", row)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: {message}"):
        load(tiny, path)


def test_a_number_that_is_the_name_of_another_tilt_is_refused(tiny, tmp_path):
    xml = tiny.xml("A")
    tiny.edit(xml, "A_2_0.0.tif", "1.tif")
    tiny.edit(tiny.tomostar("A"), "A_2_0.0.tif", "1.tif")
    tiny.image("A", 2).rename(tiny.image("A", 2).with_name("1.mrc"))
    path = table(tmp_path / "bad.csv", ("A", "1", ""))
    with pytest.raises(InputError, match=r"tilt 1 is the name of one image and the number of another"):
        load(tiny, path)
    assert used(load(tiny, table(path, ("A", "1.tif", ""))), "A") == [True, True, False, False]


@pytest.mark.parametrize("text", ["series,tilt\nA,1\n", "a,b,c\n", "\n"])
def test_tables_without_the_columns_are_refused(tiny, tmp_path, text):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"has no column .*; a table of bad tilts has series, tilt and reason"):
        load(tiny, path)


def test_series_that_are_not_selected_may_be_named(tiny, tmp_path):
    path = table(tmp_path / "bad.csv", ("A", "1", ""), ("B", "1", ""))
    project = load_warp_project(tiny.settings, tiny.particles, series_glob="B", bad_tilts=path)
    assert used(project, "B") == [False, True, True, False]


def test_populations_obey(tiny, tmp_path):
    path = write_population_files(tiny.root, ["A", "B", "C"])
    particles = read_particles(tiny.particles, (2.0, 4.0), (96.0, 64.0, 40.0))
    write_particles(read_population_tree(path).species[0].file("particles"), particles)
    project = load_population_project(path, bad_tilts=table(tmp_path / "bad.csv", ("A", "A_1_0.0.tif", "ice")))
    assert used(project, "A") == [True, False, True, False]
    assert used(project, "B") == USED


@pytest.mark.parametrize("stack", [True, False])
def test_projects_of_relion_obey(tmp_path, stack):
    chosen = write_relion_project(tmp_path / "project", stack=stack)
    tilts = read_star(chosen.parent / "tilt_series" / "TS_01.star")["TS_01"]
    order = np.argsort(-tilts["rlnTomoYTilt"].astype(float).to_numpy())
    name = tilts["rlnMicrographName"].iloc[order[4]]
    path = table(tmp_path / "bad.csv", ("TS_01", name.replace("MotionCorr/", ""), "ice"), ("TS_01", "1", "dark"))
    project = load_relion_project(find_files(chosen), bad_tilts=path)
    assert used(project, "TS_01") == [False, True, True, True, False, True, True]
    assert project.input_paths[-1] == path
    with pytest.raises(InputError, match=r"row 1: tilt 'stacks/none\.mrc' is no image of TS_01"):
        load_relion_project(find_files(chosen), bad_tilts=table(path, ("TS_01", "stacks/none.mrc", "")))
    with pytest.raises(InputError, match="leaves no tilt of any series"):
        load_relion_project(
            find_files(chosen), bad_tilts=table(path, *(("TS_01", str(number), "") for number in range(1, 8)))
        )
