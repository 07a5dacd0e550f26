"""Runs of a sweep: each on its own, with its share of the computer."""

import json
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from mlit.cli import sweep as sweep_module
from mlit.cli.composer import Composer
from mlit.cli.config_folder import config_folder, group_options
from mlit.cli.search import sweep_size
from mlit.cli.sweep import BASIC_LAUNCHER, jobs_at_once, share_computer
from mlit.cli.validation import validated_overrides
from mlit.errors import InputError

PROJECT = ("data.settings=in/a.settings", "data.particles=in/p.star", "species.diameter=280")


def test_a_failing_run_leaves_the_others_alone(call, run_instead, tmp_path, capsys):
    def run(cfg):
        if cfg.seed == 4:
            raise InputError("p.star: row 3 has no\nseries")

    run_instead(run)
    assert call("refine", *PROJECT, "output=out", "-m", "seed=3,4,5") == 2
    assert (tmp_path / "out" / "2" / ".hydra").is_dir()
    assert [path.parent.name for path in tmp_path.glob("out/*/failure.json")] == ["1"]
    entry = json.loads((tmp_path / "out" / "1" / "failure.json").read_text(encoding="utf-8"))
    assert entry == {"exit_code": 2, "reason": "p.star: row 3 has no series"}
    assert "1 runs of the sweep have failed" in capsys.readouterr().err


def test_a_defect_outweighs_wrong_input(call, run_instead, tmp_path):
    def run(cfg):
        raise InputError("no") if cfg.seed == 3 else ZeroDivisionError("oops")

    run_instead(run)
    assert call("refine", *PROJECT, "output=out", "-m", "seed=3,4") == 1
    entry = json.loads((tmp_path / "out" / "1" / "failure.json").read_text(encoding="utf-8"))
    assert entry == {"exit_code": 1, "reason": "ZeroDivisionError: oops"}


def test_a_run_that_succeeds_at_last_has_failed_no_longer(call, run_instead, tmp_path):
    run_instead(lambda cfg: sys.exit(3))
    assert call("refine", *PROJECT, "output=out", "-m", "seed=3") == 3
    run_instead(lambda cfg: None)
    assert call("refine", *PROJECT, "output=out", "-m", "seed=3") == 0
    assert not list(tmp_path.glob("out/*/failure.json"))


def test_sweeps_without_results_tell_of_failures_too(call, run_instead):
    run_instead(lambda cfg: sys.exit(2))
    assert call("inspect", *PROJECT[:2], "-m", "species.diameter=200,300") == 2


def test_an_interrupt_ends_the_whole_sweep(call, run_instead, tmp_path):
    def run(cfg):
        raise KeyboardInterrupt

    run_instead(run)
    assert call("refine", *PROJECT, "output=out", "-m", "seed=3,4") == 130
    assert not (tmp_path / "out" / "1").exists()


def test_a_launcher_may_end_a_run_to_go_on_later(call, run_instead, tmp_path):
    run_instead(lambda cfg: sys.exit(-1))
    assert call("refine", *PROJECT, "output=out", "-m", "seed=3,4") == -1
    assert not list(tmp_path.glob("out/*/failure.json"))


@pytest.mark.parametrize("search", group_options([config_folder()], "hparams_search"))
def test_ready_sweeps_name_runs_that_can_be_composed(search):
    composer, words = Composer("refine"), [*PROJECT, "output=out", f"hparams_search={search}"]
    assert validated_overrides(composer, words, multirun=False) == words
    assert sweep_size(composer, words) > 1


def test_a_ready_sweep_runs_all_that_it_names(call, run_instead):
    seen = []
    run_instead(lambda cfg: seen.append(list(cfg.model.image_warp.grid)))
    assert call("refine", *PROJECT, "output=out", "hparams_search=coarseness") == 0
    assert seen == [[2, 2], [4, 4], [6, 6]]


def test_what_is_typed_wins_over_the_search(call, run_instead):
    seen = []
    run_instead(lambda cfg: seen.append(len(cfg.schedule.iterations)))
    words = ("hparams_search=schedule_and_coarseness", "model=fine", "schedule=quick,standard")
    assert sweep_size(Composer("refine"), words) == 2
    assert call("refine", *PROJECT, "output=out", *words, "-m") == 0
    assert seen == [2, 4]


def test_what_a_search_sweeps_over_is_checked_beforehand(call, tmp_path, capsys):
    own = tmp_path / "own" / "hparams_search"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text(
        "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {model: 'coarse,fin'}}}\n", encoding="utf-8"
    )
    assert call("refine", *PROJECT, "output=out", "--config-dir", "own", "hparams_search=mine") == 2
    assert "did you mean fine?" in capsys.readouterr().err
    assert call("refine", *PROJECT, "output=out", "hparams_search=coarsenes") == 2
    assert "did you mean coarseness?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("n_jobs", "jobs", "expected"), [(2, 6, 2), (8, 3, 3), (-1, 100, 4), (-2, 100, 3), (-9, 100, 1), (1, 1, 1)]
)
def test_jobs_at_once_follow_joblib(monkeypatch, n_jobs, jobs, expected):
    monkeypatch.setattr(sweep_module.os, "cpu_count", lambda: 4)
    assert jobs_at_once(n_jobs, jobs) == expected


def job(**keys):
    return OmegaConf.create({"memory_gib": None, "callbacks": {"progress": {"live": True}}} | keys)


def test_runs_beside_each_other_share_the_memory_and_leave_the_terminal(monkeypatch):
    monkeypatch.setattr("mlit.training.memory_here.memory_here", lambda: 24 * 2**30)
    config = job()
    share_computer(config, OmegaConf.create({"_target_": "joblib", "n_jobs": 3}), 9)
    assert config.memory_gib == 8.0
    assert config.callbacks.progress.live is False
    config = job(memory_gib=5)
    share_computer(config, OmegaConf.create({"_target_": "joblib", "n_jobs": 3}), 9)
    assert config.memory_gib == 5


def test_runs_one_after_the_other_and_on_other_computers_have_all(monkeypatch):
    config = job()
    share_computer(config, OmegaConf.create({"_target_": BASIC_LAUNCHER}), 9)
    assert config == job()
    share_computer(config, OmegaConf.create({"_target_": "submitit"}), 9)
    assert config.memory_gib is None


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_launchers_of_the_cluster_extra_run_every_job(launcher, tmp_path):
    """In processes of their own, which take the task along."""
    package = {"joblib": "hydra_joblib_launcher", "submitit_local": "hydra_submitit_launcher"}[launcher]
    pytest.importorskip(f"hydra_plugins.{package}")
    words = ["refine", "-m", *PROJECT, "output=out", "seed=1,2", f"hydra/launcher={launcher}"]
    done = subprocess.run(
        [sys.executable, "-m", "mlit", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert [path.parent.name for path in sorted(tmp_path.glob("out/*/failure.json"))] == ["0", "1"]
