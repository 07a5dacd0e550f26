"""One bad series never stops the others."""

import json

import numpy as np
import pytest

from mlit.io.star import read_star, write_star

ONE_ITERATION = ("schedule.iterations=[{resolution_angstrom: 30, blocks: [poses]}]", "model=coarse")


def nan_pixels(project, name):
    path = project.images(name)[6]
    raw = bytearray(path.read_bytes())
    raw[-200:-196] = 2 * np.float16(np.nan).tobytes()
    path.write_bytes(bytes(raw))


def missing_image(project, name):
    project.images(name)[6].unlink()


def truncated_image(project, name):
    path = project.images(name)[6]
    path.write_bytes(path.read_bytes()[:3000])


def damaged_xml(project, name):
    path = project.xml(name)
    path.write_bytes(path.read_bytes()[:700])


def missing_xml(project, name):
    project.xml(name).unlink()


def no_particles(project, name):
    _edit_particles(project, lambda table: table[table["rlnTomoName"] != name])


def particles_far_outside(project, name):
    def edit(table):
        there = table["rlnTomoName"] == name
        return table.assign(rlnCoordinateX=table["rlnCoordinateX"].astype(float) + 1e5 * there)

    _edit_particles(project, edit)


def _edit_particles(project, edit):
    blocks = read_star(project.particles)
    write_star(project.particles, blocks | {"particles": edit(blocks["particles"]).reset_index(drop=True)})


FAULTS = [nan_pixels, missing_image, truncated_image, damaged_xml, missing_xml, no_particles, particles_far_outside]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_other_series_is_refined(broken, tmp_path, mlit, fault):
    fault(broken, "TS_02")
    outcome = mlit(*broken.command(tmp_path / "run", *ONE_ITERATION))
    assert outcome.code == 0, outcome.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert list(summary["left_out"]) == ["TS_02"]
    assert summary["series"] == 1
    assert summary["particles"] < 24
    log = (tmp_path / "run" / "mlit.log").read_text()
    assert log.count("TS_02 is left out") == 1
    assert summary["left_out"]["TS_02"] in log
    assert (tmp_path / "run" / "warp_tiltseries" / "TS_01.xml").is_file()
    assert not (tmp_path / "run" / "warp_tiltseries" / "TS_02.xml").exists()
    given = read_star(broken.particles)["particles"]
    written = next(iter(read_star(tmp_path / "run" / "particle" / "particles.star").values()))
    assert written["rlnMyNote"].tolist() == given["rlnMyNote"].tolist()
    moved = (
        written["wrpCoordinateY1"].astype(float) - given["rlnCoordinateY"].astype(float) * 8.0
    ).abs().to_numpy() > 0.01
    assert moved[given["rlnTomoName"] == "TS_01"].all()
    assert not moved[given["rlnTomoName"] == "TS_02"].any()


@pytest.mark.parametrize(("fault", "message"), [(nan_pixels, "not finite"), (damaged_xml, "TS_01")])
def test_nothing_left_is_refused_in_one_line(broken, tmp_path, mlit, fault, message):
    for name in ("TS_01", "TS_02"):
        fault(broken, name)
    line = mlit(*broken.command(tmp_path / "run", *ONE_ITERATION)).refusal()
    assert message in line
    assert not (tmp_path / "run" / "summary.json").exists()
