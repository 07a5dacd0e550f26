"""Runs of several processes: the same result as of one, whatever fails or is killed, whatever is estimated."""

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
TWO, FOUR = (("trainer=ddp", f"trainer.devices={count}") for count in (2, 4))
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


def assert_same(output, expected, *species):
    for name in species or ("particle",):
        tables = [next(iter(read_star(o / name / "particles.star").values())) for o in (output, expected)]
        place, angle = ([t[names].astype(float).to_numpy() for t in tables] for names in (COORDINATES, ANGLES))
        np.testing.assert_allclose(place[0], place[1], atol=1e-3)
        np.testing.assert_allclose((angle[0] - angle[1] + 180) % 360, 180, atol=1e-3)
        for path in (expected / name).glob("*.mrc"):
            found, wanted = (read_mrc(o / name / path.name)[0] for o in (output, expected))
            assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max(), path
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
    """The second process has only the series that fails; the first is killed in the last iteration.

    Four processes go on, one of which has no series at all.
    """
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

    text = run(three.command(output, *QUICK, *FOUR), subprocess_environment, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in done} == done  # what was done is not done again
    assert "Lightning" not in text
    assert_same(output, expected.output)
    lines = log.read_text().splitlines()
    assert sum("half maps: FSC 0.143" in line for line in lines) == 3
    assert sum("TS_02 is left out" in line for line in lines) == 1
    assert sorted(path.name for path in output.glob("*.log")) == ["mlit.log"]
    assert not list((output / "checkpoints").glob("sums*"))


BLOCKS = "blocks: [poses, image_warp, defocus]"
ALL_AT_ONCE = (
    "denoiser=unet",
    "denoiser.network.steps=10",
    "denoiser.network.fine_tune_steps=5",
    "species.temporal_samples=2",
    "model=coarse",
    "model.candidates=[{image_warp: {grid: [1, 1]}}]",
    "model.compared_in_iteration=1",
    f"schedule.iterations=[{{resolution_angstrom: 30, learn_priors: true, weights: true, {BLOCKS}}}, "
    f"{{resolution_angstrom: 25, {BLOCKS}}}]",
    "history.record=false",
)


@pytest.mark.slow
def test_all_that_a_run_can_estimate_is_shared(make_project, refine, tmp_path, subprocess_environment):
    """Two species, a network, weights, priors, poses over the exposure and a comparison of models."""
    second = {
        "share": 0.5,
        "structure": {"diameter_angstrom": 150.0, "symmetry": "C2", "bead_spacing_angstrom": 8.0, "seed": 9},
    }
    project = make_project({"sample": {"particles": 16}, "second_species": second})
    more = f"[{{name: second, particles: {project.root}/particles_2.star, diameter: 150, symmetry: C2}}]"
    words = (f"more_species={more}", *ALL_AT_ONCE)
    expected = refine(project, *words)
    assert expected.outcome.code == 0, expected.outcome.stderr
    command = project.command(tmp_path / "run", *words, *TWO)
    command.remove("logger=none")
    run(command, subprocess_environment, tmp_path)
    assert_same(tmp_path / "run", expected.output, "particle", "second")
    assert len(list((expected.output / "second").glob("*denoised.mrc"))) == 1
    rows = [np.genfromtxt(o / "weights.csv", delimiter=",", skip_header=1) for o in (tmp_path / "run", expected.output)]
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-3, atol=1e-6)
    assert (tmp_path / "run" / "metrics.csv").read_text().count("\n") == 1 + 3 * 2
