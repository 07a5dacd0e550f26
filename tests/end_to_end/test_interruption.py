"""Runs that are killed, stopped, finished already, or typed again with other settings."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mlit.io.mrc import read_mrc
from mlit.io.star import read_star

QUICK = ("schedule=quick", "model=coarse")
POSES = [f"wrp{kind}1" for kind in ("CoordinateX", "CoordinateY", "CoordinateZ", "AngleRot", "AngleTilt", "AnglePsi")]


def start(words, environment, folder):
    return subprocess.Popen(
        [sys.executable, "-m", "mlit", *words],
        env=environment,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"it ended before: {process.stderr.read()}"
        assert time.monotonic() < end
        time.sleep(0.005)


def log_lines(output, text):
    path = output / "mlit.log"
    return [line for line in path.read_text().splitlines() if text in line] if path.is_file() else []


def poses(output):
    table = next(iter(read_star(output / "particle" / "particles.star").values()))
    return table[POSES].astype(float).to_numpy()


def test_killed_and_stopped_runs_go_on_where_they_were(project, quick, tmp_path, mlit, subprocess_environment):
    output = tmp_path / "run"
    words = project.command(output, *QUICK)
    ledger = output / "checkpoints" / "series" / "TS_01.pt"

    process = start(words, subprocess_environment, tmp_path)
    wait_for(ledger.is_file, process)
    process.kill()  # the first of two series is done, in the first of two iterations
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (output / "summary.json").exists()
    done = ledger.stat().st_mtime_ns

    process = start(words, subprocess_environment, tmp_path)
    wait_for(lambda: log_lines(output, "iteration 2 of 2"), process)
    assert ledger.stat().st_mtime_ns == done  # iteration 1 of this series was not done again
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert "interrupted; go on where it stopped with: mlit refine" in stderr.splitlines()[-1]

    outcome = mlit(*words)
    assert outcome.code == 0, outcome.stderr
    assert len(log_lines(output, "reconstructing 2 series")) == 1
    np.testing.assert_allclose(poses(output), poses(quick.output), atol=1e-5)
    np.testing.assert_allclose(
        read_mrc(output / "particle" / "map.mrc")[0], read_mrc(quick.output / "particle" / "map.mrc")[0], rtol=1e-4
    )
    assert (output / "metrics.csv").read_text() == (quick.output / "metrics.csv").read_text()


def test_finished_run_is_left_alone(project, finished, mlit):
    results = (".star", ".xml", ".mrc", ".csv", ".json", ".ckpt", ".pt")

    def stamps():
        return {path: path.stat().st_mtime_ns for path in finished.output.rglob("*") if path.suffix in results}

    before = stamps()
    outcome = mlit(*project.command(finished.output))
    assert outcome.code == 0, outcome.stderr
    assert "finished already" in outcome.stdout
    assert stamps() == before


def test_relative_paths_and_another_trainer_are_the_same_run(project, finished, mlit, monkeypatch):
    monkeypatch.chdir(project.root)
    words = [word.replace(f"{project.root}/", "") for word in project.command(finished.output, "trainer=cpu")]
    assert "data.particles=particles.star" in words
    outcome = mlit(*words)
    assert outcome.code == 0, outcome.stderr
    assert "finished already" in outcome.stdout


@pytest.mark.parametrize("word", ["seed=5", "species.symmetry=C2", "model.image_warp.grid=[5,4]", "schedule=quick"])
def test_other_settings_in_the_same_folder_are_refused(project, finished, mlit, word):
    line = mlit(*project.command(finished.output, word)).refusal()
    assert "another" in line
    assert word.split("=")[0].split(".")[0] in line
    assert "give another output" in line


def test_other_particles_under_the_same_name_are_refused(broken, tmp_path, mlit):
    words = broken.command(tmp_path / "run", "schedule=none")
    assert mlit(*words).code == 0
    text = broken.particles.read_text()
    broken.particles.write_text(text.replace("note_3", "note_4"))
    line = mlit(*words).refusal()
    assert "particles.star has changed" in line
