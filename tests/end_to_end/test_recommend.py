"""What a finished run says at its end, and what `mlit recommend` says of it."""

import re
import shlex
import shutil

import pandas as pd
import pytest

from mlit.cli.composer import Composer
from mlit.cli.validation import validated_overrides
from mlit.project.recommend_read import chosen_changes, read_fit_scores, read_run, read_settings, run_before
from mlit.training.model_selection import Candidate


@pytest.fixture(scope="module")
def advised(finished, mlit):
    """What is said of the finished run."""
    outcome = mlit("recommend", f"output={finished.output}")
    assert outcome.code == 0, outcome.stderr
    return outcome.stdout


def test_the_figures_are_those_of_the_files(finished):
    run, summary = read_run(finished.output), finished.summary
    assert [one.particles for one in run.series] == [12, 12]
    assert run.resolution_angstrom == summary["species"]["particle"]["resolution_angstrom"]
    assert run.held_out == pytest.approx(summary["held_out_log_likelihood"])
    assert run.fitted_to_angstrom == summary["fit_resolution_angstrom"]
    assert run.finest_angstrom == pytest.approx(16.0, rel=0.01)
    assert set(run.blocks) == {"image_warp", "stage_angles", "defocus"}
    assert run.moved[0].position_angstrom > 10 * run.moved[-1].position_angstrom
    assert run.moved[-1].position_angstrom < run.expected_error.position_angstrom
    assert 0 < run.pose_error_angstrom < 10
    table = pd.concat([pd.read_csv(path) for path in (finished.output / "parameters").glob("*.csv")])
    warp = table[table["block"] == "image_warp"]
    assert run.blocks["image_warp"].value == pytest.approx(float((warp["value"] ** 2).mean() ** 0.5))
    assert read_fit_scores(finished.output)[-1] == (run.fitted_to_angstrom, pytest.approx(run.held_out))


def test_the_run_closes_with_start_and_now_and_a_next_step(finished):
    said, run = finished.outcome.stdout, read_run(finished.output)
    rows = {line.split("│")[1].strip(): line.split("│")[2:4] for line in said.splitlines() if line.count("│") == 4}
    start, now = (float(cell) for cell in rows["half maps agree (FSC 0.143) to, Å"])
    assert (start, now) == (round(run.resolutions_angstrom[0], 2), round(run.resolution_angstrom, 2))
    assert now < start
    moved = [float(cell.split(" Å")[0]) for cell in rows["particles moved in an iteration (rms)"]]
    assert moved[1] < moved[0] / 10
    assert "2 series used; no suspects" in said
    assert len(re.findall(r"next: .+ \(how: mlit recommend output=", said)) == 1


def test_every_command_that_is_given_composes(advised):
    commands = [line.strip() for line in advised.splitlines() if line.startswith("   mlit ")]
    assert commands
    for command in commands:
        _, verb, *words = shlex.split(command)
        validated_overrides(Composer(verb), words, multirun=False)


def test_it_says_what_the_advice_follows_from(finished, advised):
    assert "2 series, 24 particles: 12 in the median series" in advised
    assert f"→ {read_run(finished.output).resolution_angstrom:.2f} Å" in advised
    assert re.search(r"^1\. .+: .+\.$", advised, re.MULTILINE)


def test_nothing_is_written(finished, mlit):
    before = {path: path.stat().st_mtime_ns for path in finished.output.rglob("*")}
    mlit("recommend", f"output={finished.output}")
    assert {path: path.stat().st_mtime_ns for path in finished.output.rglob("*")} == before


def test_a_run_knows_the_one_before(finished, tmp_path):
    settings = read_settings(finished.output)
    assert run_before(settings) is None
    settings["data"]["processing"] = str(finished.output / "warp_tiltseries")
    assert run_before(settings) == finished.output
    settings["data"]["processing"] = str(tmp_path / "warp_tiltseries")
    assert run_before(settings) is None


def test_what_is_no_finished_run_is_refused(finished, mlit, tmp_path):
    assert "metrics.csv" not in mlit("recommend", f"output={finished.output}").stderr
    assert "summary.json is missing" in mlit("recommend", f"output={tmp_path}").refusal()
    copy = tmp_path / "copy"
    shutil.copytree(finished.output, copy, ignore=shutil.ignore_patterns("*.mrc", "*.ckpt", ".mlit"))
    (copy / "checkpoints" / "config.json").write_text("{")
    assert "config.json: is damaged" in mlit("recommend", f"output={copy}").refusal()


def test_labels_of_chosen_changes_are_read_back():
    changes = [("image_warp", {"grid": [6, 6]}), ("volume_warp", {"enabled": True, "grid": [2, 2, 1, 8]})]
    labels = [Candidate(block, change).label for block, change in changes]
    assert chosen_changes(labels) == [{block: change} for block, change in changes]
