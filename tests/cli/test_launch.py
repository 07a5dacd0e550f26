import logging
import shutil
import sys

import pytest
from omegaconf import OmegaConf

from mlit.errors import InputError

PROJECT = ("data.settings=in/a.settings", "data.particles=in/p.star", "species.diameter=280")


def test_runs_in_place_with_a_run_folder(call, run_instead, tmp_path):
    seen = []

    def run(cfg):
        logging.getLogger("mlit").info("a line for the log")
        seen.append((cfg, list(sys.argv)))

    run_instead(run)
    assert call("refine", *PROJECT, "output=out", "model.image_warp=[6,4]") == 0
    cfg, words = seen[0]
    assert list(cfg.model.image_warp.grid) == [6, 4]
    assert cfg.output == "out"
    assert words[1] == "refine", "Lightning starts further processes with these words"
    kept = OmegaConf.load(tmp_path / "out" / ".hydra" / "config.yaml")
    assert kept.species.diameter == 280
    assert "a line for the log" in (tmp_path / "out" / "mlit.log").read_text()
    with pytest.raises(Exception, match="not in struct"):
        cfg.species.diametr = 3


def test_inspect_writes_nothing(call, run_instead, tmp_path):
    run_instead(lambda cfg: None)
    assert call("inspect", *PROJECT[:2]) == 0
    assert list(tmp_path.iterdir()) == []


def test_wrong_input_writes_nothing(call, run_instead, tmp_path):
    run_instead(lambda cfg: None)
    assert call("refine", *PROJECT, "output=out", "sed=3") == 2
    assert list(tmp_path.iterdir()) == []


def test_print_the_config(call, run_instead, tmp_path, capsys):
    run_instead(lambda cfg: pytest.fail("it ran"))
    assert call("refine", "--cfg", "job", "species.diameter=280") == 0
    assert OmegaConf.create(capsys.readouterr().out).species.diameter == 280
    assert list(tmp_path.iterdir()) == []


def test_sweep_runs_each_in_its_own_folder(call, run_instead, tmp_path):
    seen = []
    run_instead(lambda cfg: seen.append((cfg.output, cfg.seed)))
    assert call("refine", *PROJECT, "output=out", "-m", "seed=3,4") == 0
    assert [seed for _, seed in seen] == [3, 4]
    assert [output for output, _ in seen] == [str(tmp_path / "out" / job) for job in ("0", "1")]
    for _, (output, seed) in enumerate(seen):
        assert OmegaConf.load(f"{output}/.hydra/config.yaml").seed == seed


def test_input_error_is_one_line(call, run_instead, capsys):
    def run(cfg):
        raise InputError("p.star: row 3 has no\nseries")

    run_instead(run)
    assert call("refine", *PROJECT, "output=out") == 2
    assert capsys.readouterr().err == "mlit: p.star: row 3 has no series\n"


def test_defect_shows_a_traceback(call, run_instead, capsys):
    def run(cfg):
        raise ZeroDivisionError("oops")

    run_instead(run)
    assert call("refine", *PROJECT, "output=out") == 1
    errors = capsys.readouterr().err
    assert "ZeroDivisionError: oops" in errors
    assert "defect of mlit" in errors


def interrupt(cfg):
    raise KeyboardInterrupt


def exit_after_interrupt(cfg):
    """Lightning's way: catch the interrupt, tear down, leave with code 1."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        sys.exit(1)


@pytest.mark.parametrize("run", [interrupt, exit_after_interrupt])
def test_interrupt_says_how_to_go_on(call, run_instead, run, capsys):
    run_instead(run)
    words = ("refine", *PROJECT, "output=my run")
    shutil.rmtree("my run", ignore_errors=True)
    assert call(*words) == 130
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    assert "go on where it stopped with: mlit refine" in errors
    assert "'output=my run'" in errors


def test_exit_code_of_a_verb_passes(call, run_instead):
    run_instead(lambda cfg: sys.exit(3))
    assert call("refine", *PROJECT, "output=out") == 3
