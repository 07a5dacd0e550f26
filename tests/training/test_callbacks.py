import csv
from types import SimpleNamespace

import lightning
import pytest
import torch

from mlit.errors import InputError
from mlit.maps.fsc import FscCurves
from mlit.training.assembly import make_module
from mlit.training.callbacks import EpochCheckpoint, EpochReport
from mlit.training.series_status import SeriesStatus


class Trainer(lightning.Trainer):
    """What callbacks ask of a trainer, and nothing else."""

    current_epoch = 0
    max_epochs = 3

    def __init__(self, current_epoch):
        self.current_epoch = current_epoch
        self.saved = 0

    def save_checkpoint(self, path):
        self.saved += 1
        path.write_text(f"epoch {self.current_epoch}")
        if self.current_epoch == 1:
            raise OSError(28, "No space left on device")


@pytest.fixture
def module(small, config):
    module = make_module([small], config())
    values = torch.linspace(1.0, 0.0, 8)
    curves = FscCurves(torch.arange(8).double() / 144, values, values, values, values)
    module.molecules[0].maps.halves = SimpleNamespace(curves=curves, significant_resolution_angstrom=20.0)
    return module


def test_every_epoch_but_the_last_is_saved(module, tmp_path):
    path = tmp_path / "last.ckpt"
    for epoch, expected in ((0, 1), (2, 0)):
        trainer = Trainer(current_epoch=epoch)
        EpochCheckpoint(str(path)).on_train_epoch_end(trainer, module)
        assert trainer.saved == expected
        assert path.read_text() == "epoch 0"


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(module, tmp_path):
    path = tmp_path / "last.ckpt"
    path.write_text("epoch 0")
    with pytest.raises(InputError, match=r"last\.ckpt: cannot be written"):
        EpochCheckpoint(str(path)).on_train_epoch_end(Trainer(current_epoch=1), module)
    assert [file.read_text() for file in tmp_path.glob("*.ckpt")] == ["epoch 0"]
    assert not list(tmp_path.glob(".*"))


def test_metrics_of_an_epoch_done_again_replace_those_of_before(module, tmp_path):
    report = EpochReport(str(tmp_path))
    for epoch, passes in ((0, 0), (1, 2), (2, 3), (1, 5)):
        status = SeriesStatus("improved", passes, 1.0, 2.0, 30.0)
        module.records = {name: record.without_fit(status) for name, record in module.records.items()}
        report.on_train_epoch_end(Trainer(current_epoch=epoch), module)
    with open(tmp_path / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["iteration"], row["passes"]) for row in rows] == [("0", "0")] * 2 + [("1", "5")] * 2
    resolution = module.molecules[0].maps.halves.curves.resolution_angstrom(0.143)
    assert {float(row["fsc_0.143_angstrom"]) for row in rows} == {resolution}
    written = (tmp_path / "fsc" / "particle").iterdir()
    assert sorted(path.name for path in written) == [f"iteration_{i}.star" for i in range(3)]
    assert tuple(rows[0]) == EpochReport.FIELDS + EpochReport.FURTHER


def test_reasons_with_commas_survive_in_the_table(module, tmp_path):
    reason = 'left out: a.mrc: 3 pixels, "all" of them, are not finite'
    module.records = {name: record.without_fit(SeriesStatus(reason)) for name, record in module.records.items()}
    report = EpochReport(str(tmp_path))
    for epoch in (0, 1):
        report.on_train_epoch_end(Trainer(current_epoch=epoch), module)
    with open(tmp_path / "metrics.csv", newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == [reason] * 4
