"""The main job on a small simulated project: what it reaches, what it writes, what it leaves alone."""

import csv

import numpy as np
import pytest
from lxml import etree

from mlit.io.mrc import read_mrc
from mlit.io.star import read_star
from mlit.project.history import open_history

OWNED = {"GridMovementX", "GridMovementY", "GridAngleX", "GridAngleY", "GridAngleZ", "GridCTF"}
MAPS = ("half1.mrc", "half2.mrc", "map.mrc", "map_sharp.mrc", "mask.mrc")


def test_positions_and_orientations_come_near_the_truth(project, finished):
    start, refined = project.start(), project.refined(finished.output)
    assert refined.position_rms_angstrom < start.position_rms_angstrom / 5
    assert refined.orientation_rms_deg < start.orientation_rms_deg / 4
    assert refined.observations == start.observations


@pytest.fixture(scope="module")
def start(project, refine):
    """The maps of the project as it stands."""
    run = refine(project, verb="reconstruct")
    assert run.outcome.code == 0, run.outcome.stderr
    return run


def test_map_comes_near_the_truth(project, finished, start):
    shells = slice(5, 18)  # 77 to 21 Å
    before = project.map_correlation(start.output / "particle" / "map.mrc")[shells].mean()
    after = project.map_correlation(finished.output / "particle" / "map.mrc")[shells].mean()
    assert after > 0.85
    assert 1 - after < (1 - before) / 2


def test_reconstruct_leaves_poses_and_geometry_as_they_are(project, start):
    before, after = project.start(), project.refined(start.output)
    assert after.position_rms_angstrom == pytest.approx(before.position_rms_angstrom, abs=1e-4)
    assert after.orientation_rms_deg == pytest.approx(before.orientation_rms_deg, abs=1e-4)
    assert after.defocus_rms_nm == pytest.approx(before.defocus_rms_nm, abs=1e-4)
    assert start.summary["species"]["particle"]["resolution_angstrom"] > 16


def test_nothing_is_said_on_the_error_stream(finished, start):
    assert finished.outcome.stderr == ""
    assert start.outcome.stderr == ""


def test_every_promised_file_is_there(finished):
    names = {str(path.relative_to(finished.output)) for path in finished.output.rglob("*") if path.is_file()}
    promised = {"warp_tiltseries/TS_01.xml", "warp_tiltseries/TS_02.xml", "metrics.csv", "summary.json", "mlit.log"}
    promised |= {f"particle/{name}" for name in (*MAPS, "particles.star", "fsc.star")}
    promised |= {"checkpoints/last.ckpt", ".hydra/config.yaml", "tilts.csv", "report.html", "particle/show.cxc"}
    assert promised <= names
    assert not [name for name in names if name.endswith(("~", ".tmp", ".partial"))]


def test_results_are_committed_with_the_hashes_of_their_input(finished):
    with open_history(finished.output) as history:
        assert history.head is not None
        assert history.head.message.startswith("results: particle ")
        assert history.head.input_sha256 == finished.summary["input_sha256"]
        assert {"warp_tiltseries/TS_01.xml", "particle/half1.mrc", "summary.json"} <= set(history.head.files)
        assert history.changed_files() == []


def test_summary_says_what_scripts_rely_on(finished):
    summary = finished.summary
    assert 15.9 < summary["species"]["particle"]["resolution_angstrom"] < 24
    assert summary["series"] == 2
    assert summary["particles"] == 24
    assert summary["left_out"] == {}
    assert summary["wall_seconds"] > 0
    assert len(summary["input_sha256"]) == 2


def test_maps_carry_their_pixel_size(finished):
    for name in MAPS:
        volume, pixel = read_mrc(finished.output / "particle" / name)
        assert pixel == pytest.approx(8.0)
        assert volume.shape == (44, 44, 44)
        assert np.isfinite(volume).all()
        assert volume.std() > 0


def test_metrics_have_one_row_a_series_and_iteration(finished):
    with open(finished.output / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(r["iteration"]), r["series"]) for r in rows] == [(i, s) for i in range(5) for s in ("TS_01", "TS_02")]
    fitted = [row for row in rows if row["iteration"] != "0"]
    assert all(float(row["log_posterior_end"]) > float(row["log_posterior_start"]) for row in fitted)
    assert all(row["status"] in ("improved", "converged") for row in fitted)


def test_xml_keeps_what_mlit_does_not_own(project, finished):
    for name in ("TS_01", "TS_02"):
        given = etree.parse(project.xml(name)).getroot()
        written = etree.parse(finished.output / "warp_tiltseries" / f"{name}.xml").getroot()
        assert dict(written.attrib) == dict(given.attrib)
        kept = {child.tag: etree.tostring(child, method="c14n", with_tail=False) for child in given}
        for tag in kept.keys() - OWNED:
            assert etree.tostring(written.find(tag), method="c14n", with_tail=False) == kept[tag], tag
        assert [child.tag for child in written if child.tag not in OWNED] == [
            child.tag for child in given if child.tag not in OWNED
        ]
        changed = {tag for tag in OWNED if etree.tostring(written.find(tag)) != kept.get(tag)}
        assert {"GridMovementX", "GridAngleX", "GridCTF"} <= changed


def test_particles_keep_order_rows_and_unknown_columns(project, finished):
    given = read_star(project.particles)["particles"]
    written = next(iter(read_star(finished.output / "particle" / "particles.star").values()))
    assert written["rlnMyNote"].tolist() == given["rlnMyNote"].tolist()
    assert written["wrpRandomSubset"].astype(int).tolist() == given["rlnRandomSubset"].astype(int).tolist()
    assert [n.removesuffix(".tomostar") for n in written["wrpSourceName"]] == given["rlnTomoName"].tolist()
    for axis in "XYZ":
        moved = written[f"wrpCoordinate{axis}1"].astype(float) - given[f"rlnCoordinate{axis}"].astype(float) * 8.0
        assert 0.5 < moved.std() < 15


def test_inputs_are_never_written_to(finished):
    assert finished.inputs_after == finished.inputs_before


def test_result_can_be_refined_again(project, finished, tmp_path, mlit):
    """What mlit writes is a project of its own kind: here it is the input of a reconstruction."""
    refined = project.copy(tmp_path / "project")
    for name in ("TS_01", "TS_02"):
        refined.xml(name).write_bytes((finished.output / "warp_tiltseries" / f"{name}.xml").read_bytes())
    words = refined.command(tmp_path / "again", verb="reconstruct")
    particles = f"data.particles={finished.output / 'particle' / 'particles.star'}"
    outcome = mlit(*[particles if word.startswith("data.particles") else word for word in words])
    assert outcome.code == 0, outcome.stderr
    again, _ = read_mrc(tmp_path / "again" / "particle" / "map.mrc")
    first, _ = read_mrc(finished.output / "particle" / "map.mrc")
    assert np.corrcoef(again.ravel(), first.ravel())[0, 1] > 0.99
