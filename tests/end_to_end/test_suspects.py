"""False picks and spoilt tilts that nobody has marked: found, listed, and of little cost."""

import csv
import json
import re

import numpy as np
import pytest

from mlit.io.mrc import read_mrc, write_mrc
from mlit.io.star import read_star, write_star
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.report.run_folder import RunFolder
from mlit.report.tilt_numbers import tilt_numbers

QUICK = ("schedule=quick", "model=coarse")
ONCE = ("schedule.iterations=[{resolution_angstrom: null, blocks: [poses, image_warp]}]", "model=coarse")


@pytest.fixture(scope="module")
def spoilt(make_project):
    """Of 14 picks in each series, two are false, and of 13 tilts two are spoilt."""
    return make_project({"picks": {"false_fraction": 0.17}, "defects": {"bad_tilts": 2}})


@pytest.fixture(scope="module")
def faults(spoilt):
    """False picks and spoilt tilts, as the list of suspects names them."""
    table = read_star(spoilt.root / "truth" / "particles.star")["particles"]
    false = table["mlitFalsePick"].astype(int).to_numpy() == 1
    listed = {(table["rlnTomoName"][row], "false pick", row + 1) for row in np.flatnonzero(false)}
    kinds = {"blocked": "shaded tilt", "dark": "weak tilt"}
    for name, found in json.loads((spoilt.root / "truth" / "meta.json").read_text())["series"].items():
        listed |= {(name, kinds[bad["kind"]], bad["tilt"] + 1) for bad in found["bad_tilts"]}
    assert len(listed) == 4 + 4
    return listed


@pytest.fixture(scope="module")
def unaware(spoilt, refine):
    """A refinement that is told nothing."""
    run = refine(spoilt, *QUICK)
    assert run.outcome.code == 0, run.outcome.stderr
    return run


def suspects(run):
    with open(run.output / "suspects.csv", newline="") as file:
        return {(row["series"], row["kind"], int(row["number"])): row for row in csv.DictReader(file)}


def test_faults_are_listed_and_nothing_else(unaware, faults):
    assert set(suspects(unaware)) == faults
    kinds = [kind for _, kind, _ in faults]
    assert unaware.summary["suspects"] == {kind: kinds.count(kind) for kind in kinds}
    assert "TS_01: 2 × false pick, 1 × shaded tilt, 1 × weak tilt; listed in suspects.csv" in unaware.outcome.stdout


def test_particle_table_says_how_likely_each_is_one(unaware, faults):
    table = next(iter(read_star(unaware.output / "particle" / "particles.star").values()))
    doubtful = table["mlitProbability"].astype(float).to_numpy() < 0.5
    assert {int(row) + 1 for row in np.flatnonzero(doubtful)} == {n for _, kind, n in faults if kind == "false pick"}


def test_report_shows_every_fault_and_no_other(unaware, faults, mlit):
    """Of the tilts, the planted ones alone are dark and marked; the doubted picks are counted beside them."""
    found = tilt_numbers(RunFolder(unaware.output))
    marked = {(found.names[row], kind, tilt + 1) for row, tilt, kind in found.marks}
    assert marked == {fault for fault in faults if fault[1] != "false pick"}
    dark = {(found.names[row], tilt + 1) for row, tilt in np.argwhere(found.signal < 0.7)}
    assert dark == {(name, tilt) for name, _, tilt in marked}
    assert np.isfinite(found.signal).all()
    assert found.doubted.tolist() == [2, 2]
    assert found.picks.tolist() == [14, 14]
    text = (unaware.output / "report.html").read_text(encoding="utf-8")
    for name, kind, tilt in marked:
        assert re.search(rf"{name}, tilt {tilt}; [^<]*; signal [^<]*; {kind}</title>", text)
    assert mlit("report", f"output={unaware.output}").code == 0
    assert (unaware.output / "report.html").read_text(encoding="utf-8") == text


@pytest.fixture(scope="module")
def aware(spoilt, refine, tmp_path_factory):
    """A refinement of the same data with false picks and dark tilts left out by hand."""
    known = spoilt.copy(tmp_path_factory.mktemp("known") / "project")
    blocks, truth = (read_star(folder / "particles.star")["particles"] for folder in (known.root, known.root / "truth"))
    real = truth["mlitFalsePick"].astype(int) == 0
    write_star(known.particles, {"particles": blocks.assign(mlitWeight=real.astype(float))})
    for name, found in json.loads((known.root / "truth" / "meta.json").read_text())["series"].items():
        dark = [bad["tilt"] for bad in found["bad_tilts"] if bad["kind"] == "dark"]
        used = [tilt not in dark for tilt in range(13)]
        TiltSeriesXml.read(known.xml(name)).with_lists({"UseTilt": used}).write(known.xml(name))
    run = refine(known, *QUICK)
    assert run.outcome.code == 0, run.outcome.stderr
    return run


def errors(project, run):
    """Position (Å), orientation (degrees), and what the map lacks of a correlation of one from 77 to 19 Å."""
    found = project.refined(run.output)
    curve = project.map_correlation(run.output / "particle" / "map.mrc")
    return found.position_rms_angstrom, found.orientation_rms_deg, 1 - float(curve[5:20].mean())


def test_faults_cost_little_against_a_run_that_knows_them(spoilt, unaware, aware):
    found, best = errors(spoilt, unaware), errors(spoilt, aware)
    assert found[0] < 1.05 * best[0]
    assert found[1] < 1.15 * best[1]
    assert found[2] < 1.05 * best[2]


def test_evidence_is_worth_having(spoilt, unaware, refine):
    believer = refine(spoilt, *QUICK, "species.false_fraction=0")
    assert {kind for _, kind, _ in suspects(believer)} == {"shaded tilt", "weak tilt"}
    found, worse = errors(spoilt, unaware), errors(spoilt, believer)
    assert found[0] < 0.98 * worse[0]
    assert found[2] < 0.97 * worse[2]


def test_good_data_have_no_suspects(quick):
    assert suspects(quick) == {}
    assert quick.summary["suspects"] == {"false pick": 0, "shaded tilt": 0, "weak tilt": 0}


def test_weak_data_are_not_thrown_away(make_project, refine):
    """Few particles that show next to nothing make poor references, which must not turn against them."""
    weak = make_project({"microscope": {"contrast": 0.1}, "sample": {"particles": 8}})
    run = refine(weak, *QUICK)
    assert run.outcome.code == 0, run.outcome.stderr
    assert run.summary["suspects"]["false pick"] <= 1


def test_blank_tilts_are_left_out_and_listed(broken, refine):
    """As if they were switched off."""
    paths = broken.images("TS_01")
    image, pixel = read_mrc(paths[4])
    write_mrc(paths[4], np.full_like(image, 3.0), pixel)
    run = refine(broken, *ONCE)
    assert run.outcome.code == 0, run.outcome.stderr
    [(suspect, row)] = suspects(run).items()
    tilt = suspect[2] - 1
    assert suspect[:2] == ("TS_01", "shaded tilt")
    assert float(row["weight"]) == 0
    xml = TiltSeriesXml.read(broken.xml("TS_01"))
    assert xml.movie_paths[tilt].endswith(f"{paths[4].stem}.tif")
    xml.with_lists({"UseTilt": [other != tilt for other in range(13)]}).write(broken.xml("TS_01"))
    off = refine(broken, *ONCE)
    assert suspects(off) == {}
    blank, unused = (broken.refined(one.output) for one in (run, off))
    assert blank.position_rms_angstrom == pytest.approx(unused.position_rms_angstrom, rel=0.01)
    assert blank.orientation_rms_deg == pytest.approx(unused.orientation_rms_deg, rel=0.01)
