"""Runs of two processes: the same result as of one, whatever fails or is killed."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mlit.io.mrc import read_mrc
from mlit.io.star import read_star

QUICK = ("schedule=quick", "model=coarse", "denoiser=none", "history.record=false")
TWO = ("trainer=ddp", "trainer.devices=2")
COORDINATES = [f"wrpCoordinate{axis}1" for axis in "XYZ"]
ANGLES = [f"wrpAngle{name}1" for name in ("Rot", "Tilt", "Psi")]


def start(words, environment, folder):
    command = ["timeout", "-s", "KILL", "100", sys.executable, "-m", "mlit", *words]
    return subprocess.Popen(
        command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def run(words, environment, folder):
    process = start(words, environment, folder)
    output = process.communicate()[0]
    assert process.returncode == 0, output
    return output


def assert_same(output, expected):
    tables = [next(iter(read_star(o / "particle" / "particles.star").values())) for o in (output, expected)]
    place, angle = ([t[names].astype(float).to_numpy() for t in tables] for names in (COORDINATES, ANGLES))
    np.testing.assert_allclose(place[0], place[1], atol=1e-3)
    np.testing.assert_allclose((angle[0] - angle[1] + 180) % 360, 180, atol=1e-3)
    for name in ("half1", "half2"):
        found, wanted = (read_mrc(o / "particle" / f"{name}.mrc")[0] for o in (output, expected))
        assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()
    summaries = [json.loads((o / "summary.json").read_text()) for o in (output, expected)]
    for key in ("series", "particles", "left_out", "suspects", "chosen"):
        assert summaries[0][key] == summaries[1][key]


@pytest.fixture(scope="module")
def three(make_project):
    """Three series, the second of which turns out to be damaged only when its process reads it."""
    project = make_project({"series": 3})
    path = project.images("TS_02")[2]
    header, values = path.read_bytes()[:1024], path.read_bytes()[1024:]
    path.write_bytes(header + b"\xff" * len(values))  # not a number, in every float
    return project


@pytest.mark.slow
def test_two_processes_do_what_one_does_and_survive_a_kill(three, refine, tmp_path, subprocess_environment):
    """The second process has only the series that fails; the first is killed in the last iteration."""
    expected = refine(three, *QUICK)
    assert expected.outcome.code == 0, expected.outcome.stderr
    assert "not finite" in expected.summary["left_out"]["TS_02"]
    output = tmp_path / "run"
    words = three.command(output, *QUICK, *TWO)
    log, series = output / "mlit.log", output / "checkpoints" / "series"

    process = start(words, subprocess_environment, tmp_path)
    while not (log.is_file() and "iteration 2 of 2" in log.read_text()):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.005)
    started = time.time_ns()
    while not any(path.stat().st_mtime_ns > started for path in series.glob("TS*.pt")):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)  # to timeout, which sends it on to the first process
    assert "interrupted; go on where it stopped" in process.communicate()[0]
    done = {path: path.stat().st_mtime_ns for path in series.glob("TS*.pt") if path.stat().st_mtime_ns > started}
    assert done
    assert not (output / "summary.json").exists()

    text = run(words, subprocess_environment, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in done} == done  # what was done is not done again
    assert "Lightning" not in text
    assert_same(output, expected.output)
    lines = log.read_text().splitlines()
    assert sum("half maps: FSC 0.143" in line for line in lines) == 3
    assert sum("TS_02 is left out" in line for line in lines) == 1
    assert sorted(path.name for path in output.glob("*.log")) == ["mlit.log"]
    assert not list((output / "checkpoints").glob("sums*"))


@pytest.mark.slow
def test_a_process_without_series_waits_for_the_other(project, refine, tmp_path, subprocess_environment):
    one = (*QUICK, "data.series=TS_01")
    expected = refine(project, *one)
    words = project.command(tmp_path / "run", *one, *TWO)
    words.remove("logger=none")
    run(words, subprocess_environment, tmp_path)
    assert_same(tmp_path / "run", expected.output)
    assert (tmp_path / "run" / "metrics.csv").read_text() == (expected.output / "metrics.csv").read_text()
