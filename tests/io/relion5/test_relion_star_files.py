import re

import numpy as np
import pandas as pd
import pytest

from mlit.errors import InputError
from mlit.io.relion5.names import find_project_folder, split_image_name
from mlit.io.relion5.optimisation_set import read_optimisation_set, write_optimisation_set
from mlit.io.relion5.particle_file import RelionParticles
from mlit.io.relion5.tilt_series import format_vector, parse_vector, read_tilt_table
from mlit.io.relion5.tomograms import read_tomograms, write_tomograms
from mlit.io.relion5.trajectories import motion_of, read_trajectories, write_trajectories
from mlit.io.star import read_star, write_star
from tests.support import shared_path


def star_files():
    return sorted(shared_path("data", "metadata", "relion5_empiar10164").rglob("*.star"))


def plain_tables(path):
    """Tables as lists of words, by a reader of its own: nothing but block names, labels and values."""
    tables, labels, rows, name = {}, [], [], None
    for line in path.read_text().splitlines():
        words = line.split("#")[0].split() if line.strip().startswith(("_", "#")) else line.split()
        if not words or words == ["loop_"]:
            continue
        if words[0].startswith("data_"):
            name, labels, rows = words[0], [], []
            tables[name] = (labels, rows)
        elif words[0].startswith("_"):
            labels.append(words[0])
            rows.extend([words[1:]] if len(words) > 1 else [])
        else:
            rows.append(words)
    return tables


def test_nothing_of_a_real_project_is_lost(tmp_path):
    files = star_files()
    assert len(files) >= 20
    for number, path in enumerate(files):
        copy = tmp_path / f"{number}.star"
        write_star(copy, read_star(path))
        assert plain_tables(copy) == plain_tables(path), path


def test_typed_readers_take_the_real_files():
    folder = shared_path("data", "metadata", "relion5_empiar10164")
    for job, labels in (("Polish_job030", 3), ("CtfRefine_job027", 2), ("Picks_job019", 2)):
        assert len(read_optimisation_set(folder / job / "optimisation_set.star").files) == labels
    tomograms = read_tomograms(folder / "Polish_job030" / "tomograms.star")
    assert [one.name for one in tomograms] == ["TS_01", "TS_03", "TS_43", "TS_45", "TS_54"]
    assert tomograms[0].size_px.tolist() == [4000, 4000, 2000]
    assert tomograms[0].pixel_size_angstrom == 1.35
    tilts = read_tilt_table(folder / "Polish_job030" / "TS_01.star", "TS_01")
    assert tilts.tilts == 40
    assert np.ptp(tilts.numbers("rlnTomoXTilt")) > 0.1
    particles = RelionParticles.read(folder / "Polish_job030" / "particles.first400.star")
    assert particles.names()[0] == "TS_01/12"


def test_files_without_sizes_or_alignment_say_what_to_do():
    folder = shared_path("data", "metadata", "relion5_empiar10164")
    aligned = read_tomograms(folder / "AlignTiltSeries_job005" / "aligned_tilt_series.star")
    with pytest.raises(InputError, match=r"rlnTomoSizeX .* give the set of a job that made tomograms"):
        _ = aligned[0].size_px
    with pytest.raises(InputError, match="rlnTomoYTilt; align the tilt series in RELION first"):
        read_tilt_table(folder / "CtfFind_job003" / "TS_01.star", "TS_01")


def test_names_are_found_from_the_project_folder_and_beside(tmp_path):
    job = tmp_path / "project" / "Job" / "job001"
    (job / "tilts").mkdir(parents=True)
    (job / "tomograms.star").touch()
    (job / "tilts" / "A.star").touch()
    chosen = job / "set.star"
    folder = find_project_folder(chosen, "Job/job001/tomograms.star")
    assert folder.path == tmp_path / "project"
    assert folder.find("Job/job001/tomograms.star", chosen) == job / "tomograms.star"
    assert folder.find("Elsewhere/job009/tilts/A.star", chosen) == job / "tilts" / "A.star"
    assert folder.find("/old/disk/project/tilts/A.star", chosen) == job / "tilts" / "A.star"
    assert folder.find("Job/none.star", chosen) == tmp_path / "project" / "Job" / "none.star"
    with pytest.raises(InputError, match=re.escape("is not a folder; give the one that RELION is started in")):
        find_project_folder(chosen, "x", tmp_path / "nowhere")


def test_image_names():
    assert split_image_name("000012@stacks/TS.mrcs") == (11, "stacks/TS.mrcs")
    assert split_image_name("MotionCorr/a.mrc") == (None, "MotionCorr/a.mrc")
    for wrong in ("0@a.mrc", "x@a.mrc"):
        with pytest.raises(ValueError, match="section from 1 on"):
            split_image_name(wrong)


def test_optimisation_set_there_and_back(tmp_path):
    files = {"rlnTomoParticlesFile": "p.star", "rlnTomoTomogramsFile": "t.star", "rlnOther": "kept.mrc"}
    write_optimisation_set(tmp_path / "set.star", files)
    assert read_optimisation_set(tmp_path / "set.star").files == files
    write_star(tmp_path / "other.star", {"": pd.DataFrame({"rlnX": ["1"]})})
    with pytest.raises(InputError, match="is it an optimisation set"):
        read_optimisation_set(tmp_path / "other.star")
    with pytest.raises(InputError, match="names no rlnTomoTrajectoriesFile; add it"):
        read_optimisation_set(tmp_path / "set.star")["rlnTomoTrajectoriesFile"]


def tomogram_row(**changes):
    row = {
        "rlnTomoName": "A",
        "rlnTomoTiltSeriesStarFile": "A.star",
        "rlnVoltage": "300",
        "rlnSphericalAberration": "2.7",
        "rlnAmplitudeContrast": "0.1",
        "rlnTomoHand": "1",
        "rlnTomoTiltSeriesPixelSize": "2",
        "rlnMine": "kept",
    }
    return {**row, **changes}


def test_tomograms_there_and_back(tmp_path):
    rows = [tomogram_row(), tomogram_row(rlnTomoName="B", rlnTomoDeformationType="spline", rlnYours="too")]
    write_tomograms(tmp_path / "t.star", rows)
    first, second = read_tomograms(tmp_path / "t.star")
    assert first.text("rlnMine") == "kept"
    assert (first.text("rlnYours"), second.text("rlnYours")) == ("None", "too")
    assert second.text("rlnTomoDeformationType") is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([tomogram_row(), tomogram_row()], "row 2: tomogram A is there twice"),
        ([{k: v for k, v in tomogram_row().items() if k != "rlnTomoHand"}], "has no column rlnTomoHand; add it"),
        ([{k: v for k, v in tomogram_row().items() if "StarFile" not in k}], "it is of RELION 4: import it"),
    ],
)
def test_wrong_tomograms(tmp_path, rows, message):
    write_tomograms(tmp_path / "t.star", rows)
    with pytest.raises(InputError, match=message):
        read_tomograms(tmp_path / "t.star")


def test_matrices_of_relion_4_are_refused(tmp_path):
    write_star(tmp_path / "A.star", {"A": pd.DataFrame({"rlnTomoProjX": ["[1,0,0,0]"]})})
    with pytest.raises(InputError, match=r"matrices of RELION 4 \(rlnTomoProjX\); let RELION 5 replace them"):
        read_tilt_table(tmp_path / "A.star", "A")
    with pytest.raises(InputError, match="no table data_B; its name must be that of the tomogram"):
        read_tilt_table(tmp_path / "A.star", "B")


def test_vectors():
    assert parse_vector("[1,-2.5e-3]", "x") == [1.0, -0.0025]
    assert parse_vector(format_vector(np.array([0.1, -40.0])), "x") == [0.1, -40.0]
    for wrong in ("[1,a]", "nan", "[1,,2]"):
        with pytest.raises(InputError, match="a list of numbers"):
            parse_vector(wrong, "file: row 1")


def test_trajectories_there_and_back(tmp_path):
    paths = {f"A/{i}": np.random.default_rng(i).normal(0, 5, (4, 3)) for i in (3, 1)}
    write_trajectories(tmp_path / "m.star", paths)
    read = read_trajectories(tmp_path / "m.star")
    assert list(read) == list(paths)
    np.testing.assert_allclose(motion_of(read, ["A/1", "A/3"], 4, tmp_path), [paths["A/1"], paths["A/3"]], atol=1e-4)
    with pytest.raises(InputError, match="has no trajectory of particle A/2"):
        motion_of(read, ["A/2"], 4, tmp_path)
    with pytest.raises(InputError, match="A/1 has 4 rows, but its series has 5 tilts; polish again"):
        motion_of(read, ["A/1"], 5, tmp_path)
    assert read_star(tmp_path / "m.star")["general"]["rlnParticleNumber"].tolist() == ["2"]
