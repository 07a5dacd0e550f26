"""Sums that survive an interruption."""

import pytest
import torch

from mlit.fourier.insertion import FourierSums
from mlit.training import map_maker
from mlit.training.assembly import make_module
from mlit.training.data import TiltSeriesDataModule
from mlit.training.partial_sums import PartialSums
from mlit.training.run import fit
from mlit.training.series_step import add_to_maps


def sums(value=0.0, box=8):
    empty = FourierSums.zeros(2, box, 5.0, 10.0)
    empty.rows.fill_(value)
    return empty


def test_sums_are_taken_up_in_their_own_epoch(tmp_path):
    kept = PartialSums(tmp_path / "sums.pt", 0.0)
    assert kept.take_up(sums(), 1) == []
    kept.record(sums(3.0), 1, ["TS_1", "TS_2"])
    taken = sums()
    assert kept.take_up(taken, 1) == ["TS_1", "TS_2"]
    assert bool((taken.rows == 3).all())
    for other, epoch in ((sums(), 2), (sums(box=12), 1)):
        assert kept.take_up(other, epoch) == []
        assert not other.rows.any()
    kept.drop()
    assert kept.take_up(sums(), 1) == []
    kept.drop()


def test_they_are_not_written_all_the_time(tmp_path):
    kept = PartialSums(tmp_path / "sums.pt", 60.0)
    kept.take_up(sums(), 1)
    kept.record(sums(1.0), 1, ["TS_1"])
    assert not kept.path.exists()


def test_an_interrupted_reconstruction_goes_on_with_its_sums(small, config, monkeypatch, tmp_path):
    """The second of two series is interrupted; the first one is not put into the maps again."""
    cfg = config("schedule=none")
    whole = half_map(ready(small, cfg, tmp_path / "whole.pt"), small, cfg)
    added = []

    def add(sums, model, *rest):
        if len(added) == 1:
            added.append("interrupted")
            raise KeyboardInterrupt
        added.append(model)
        add_to_maps(sums, model, *rest)

    monkeypatch.setattr(map_maker, "add_to_maps", add)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        half_map(ready(small, cfg, tmp_path / "cut.pt"), small, cfg)
    assert (tmp_path / "cut.pt").is_file()
    again = ready(small, cfg, tmp_path / "cut.pt")
    found = half_map(again, small, cfg)
    assert added[2:] == [again.model("TS_02")]
    assert torch.equal(found, whole)
    assert not (tmp_path / "cut.pt").exists()


def ready(project, cfg, path):
    module = make_module([project], cfg)
    module.molecules[0].maps.partial_sums = PartialSums(path, 0.0)
    return module


def half_map(module, project, cfg):
    fit(module, TiltSeriesDataModule([project], cfg.species.diameter), cfg)
    assert module.molecules[0].maps.halves is not None
    return module.molecules[0].maps.halves.first
