"""Iterations of the shipped schedules, as the models of a run have use for them."""

import logging
from pathlib import Path
from types import SimpleNamespace

import lightning
import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from mlit.cli.composer import Composer
from mlit.cli.config_folder import config_folder, group_options
from mlit.deformation.registry import BLOCKS
from mlit.errors import InputError
from mlit.training.assembly import make_module
from mlit.training.strategy import SeriesStrategy
from mlit.training.trainer import check_trainer

EXPERIMENTS = [name for name in group_options([config_folder()], "experiment") if name.startswith("empiar")]
PER_TILT_CTF = {"defocus", "astigmatism", "phase_shift"}
OF_SERIES = {"spherical_aberration", "even_aberrations", "odd_aberrations", "magnification"}
ALL_ON = [f"model.{name}.enabled=true" for name in BLOCKS]


def blocks_of(module):
    return [set(iteration.blocks) for iteration in module.schedule.iterations]


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_coarse_errors_first_then_ctf_then_optics_of_the_series(small, config, caplog):
    first, second, third, fourth = blocks_of(make_module([small], config("schedule=standard", *ALL_ON)))
    assert first == {"poses", "image_warp", "volume_warp", "stage_angles"}
    assert second - first == PER_TILT_CTF
    assert third - second == OF_SERIES
    assert third == {"poses", *BLOCKS}
    assert fourth == third
    assert not warnings_of(caplog)


@pytest.mark.parametrize(("words", "last_change"), [([], 2), (["model.magnification.enabled=true"], 3)])
def test_a_run_ends_early_only_where_no_block_is_new(small, config, words, last_change):
    schedule = make_module([small], config("schedule=standard", *words)).schedule
    assert [epoch for epoch in (2, 3, 4) if schedule.repeats(epoch, 30.0, 30.0)] == [*range(last_change + 1, 5)]


@pytest.mark.parametrize("name", ["quick", "once", "standard"])
def test_no_schedule_forgets_a_block(small, config, caplog, name):
    module = make_module([small], config(f"schedule={name}", *ALL_ON))
    assert blocks_of(module)[-1] == {"poses", *BLOCKS}
    assert not warnings_of(caplog)


def test_an_enabled_block_that_is_never_refined_is_named(small, config, caplog):
    words = ["schedule.iterations=[{resolution_angstrom: null, blocks: [poses, image_warp, defocus]}]"]
    make_module([small], config(*words, "model.volume_warp.enabled=true", "model.stage_angles.enabled=false"))
    (line,) = warnings_of(caplog)
    assert "model.volume_warp is enabled, but no iteration refines it" in line
    assert "schedule.iterations" in line
    assert "model.volume_warp.enabled=false" in line


def test_a_reconstruction_warns_of_nothing(small, config, caplog):
    assert blocks_of(make_module([small], config("schedule=none"))) == []
    assert not warnings_of(caplog)


def module_of(experiment: str, small, folder: Path):
    """Assemble the run of an experiment on a project that has other series and another molecule."""
    words = [f"experiment={experiment}", "data.settings=a", "data.particles=b", "data.series=*", f"output={folder}"]
    composer = Composer("refine")
    with composer.ready():
        config = OmegaConf.create(composer.compose(words).values)
    return make_module([small], config), config


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_rung_has_its_blocks_refined(small, tmp_path, caplog, experiment):
    module, config = module_of(experiment, small, tmp_path)
    assert not warnings_of(caplog)
    assert config.species.symmetry in ("O", "C6")
    blocks = set().union(*blocks_of(module))
    rung = int(experiment.split("_")[2])
    expected = [set(), {"poses", "image_warp", "defocus", "astigmatism"}, set(), {"stage_angles"}]
    optics = {"magnification", "spherical_aberration", "odd_aberrations"}
    assert blocks == set().union(*[*expected, optics, set()][: rung + 1])
    assert module.model("TS_01").poses.samples == (2 if rung == 5 else 1)


@pytest.mark.parametrize("data_set", ["10164", "10491"])
def test_each_data_set_has_a_whole_ladder(data_set):
    rungs = ["0_start", "1_warp", "2_again", "3_stage", "4_optics", "5_motion"]
    assert [f"empiar_{data_set}_{rung}" for rung in rungs] == [name for name in EXPERIMENTS if data_set in name]


def trainer(strategy="auto"):
    return lightning.Trainer(accelerator="cpu", devices=1, strategy=strategy, logger=False)


def test_processes_that_share_no_series_are_refused():
    two = lightning.Trainer(accelerator="cpu", devices=2, logger=False)
    with pytest.raises(InputError, match="trainer=ddp"):
        check_trainer(two)


def test_a_sweep_starts_no_processes(monkeypatch):
    check_trainer(trainer(SeriesStrategy()))
    monkeypatch.setattr(HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(HydraConfig, "get", lambda: SimpleNamespace(mode=RunMode.MULTIRUN))
    check_trainer(trainer())
    with pytest.raises(InputError, match="cannot start processes"):
        check_trainer(trainer(SeriesStrategy()))
