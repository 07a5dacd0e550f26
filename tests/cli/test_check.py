"""``mlit check`` as a person types it."""

import csv
import re

import pytest
from matplotlib.image import imread


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Simulate two tiny series whose stated depth has the wrong sign."""
    from mlit.simulation.config_mapping import config_from_mapping
    from mlit.simulation.simulate import simulate
    from tests.training.test_depth_hands import THICK

    deformation = {**THICK["deformation"], "wrong_hand": True}
    folder = tmp_path_factory.mktemp("simulated") / "project"
    simulate(config_from_mapping({**THICK, "deformation": deformation}), folder, lambda line: None)
    return folder


def words(project, output, *more):
    files = (f"data.settings={project}/warp_tiltseries.settings", f"data.particles={project}/particles.star")
    return ("check", *files, "species.diameter=170", f"output={output}", *more)


def findings(folder):
    with open(folder / "findings.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_findings_pictures_and_plan(call, run_instead, project, tmp_path, capsys):
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    bad = tmp_path / "bad.csv"
    bad.write_text("series,tilt,reason\nTS_01,1,dark\n")
    assert call(*words(project, tmp_path / "out", f"data.bad_tilts={bad}", "schedule=quick")) == 0
    page = capsys.readouterr().out
    assert "12 / 13" in page
    assert "error sign of depth: is the opposite of what is stated" in page
    (first, *_) = findings(tmp_path / "out")
    assert (first["severity"], first["topic"], first["series"]) == ("error", "sign of depth", "")
    assert "AreAnglesInverted" in first["remedy"]
    assert "2 series, 48 particles, 25 of 26 tilts" in page
    assert "iteration 2: " in page
    assert re.search(r"memory: at least .* GiB, at most .* GiB: fitting", page)
    assert "cores here: some" in page
    for name in ("TS_01", "TS_02"):
        assert imread(tmp_path / "out" / "overlay" / f"{name}.png").shape[1] == 1800
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_what_refine_would_refuse_is_a_finding(call, run_instead, project, tmp_path, capsys):
    off = ("check.overlay=false", "check.depth=false")
    assert call(*words(project, tmp_path / "out", *off, "species.diameter=3000")) == 0
    assert "error refine: species.diameter=3000: is more than the images of TS_01 show" in capsys.readouterr().out
    assert not (tmp_path / "out" / "overlay").exists()
    assert {row["topic"] for row in findings(tmp_path / "out")} >= {"refine"}


def test_nonsense_is_refused(call, run_instead, project, tmp_path, capsys):
    assert call(*words(project, tmp_path / "out", "check.particles=1")) == 2
    assert "check.particles=1: must be at least 2" in capsys.readouterr().err
    assert call(*words(project, tmp_path / "out", "data.bad_tilts=nowhere.csv")) == 2
    assert "nowhere.csv: table of bad tilts not found" in capsys.readouterr().err
