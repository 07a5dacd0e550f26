"""Tables and log lines of a search of the defocus."""

import csv
import logging
from dataclasses import replace

import lightning
import pytest
import torch

from mlit.likelihood.defocus_search import DefocusSearch
from mlit.training.assembly import make_module
from mlit.training.data import SeriesBatch
from mlit.training.search_report import COLUMNS, DefocusSearchReport, summary


def search(*jumps):
    offset = torch.linspace(-0.3, 0.3, 5, dtype=torch.float64)
    return DefocusSearch(offset, torch.arange(10.0).double().reshape(2, 5), torch.tensor(jumps).double())


@pytest.mark.parametrize(
    ("jumps", "words"),
    [((0.0, 0.0), "within ±0.3 µm: no tilt of 2 moved"), ((0.0, -0.18), "within ±0.3 µm: moved tilt 1 by -0.180 µm")],
)
def test_summary_names_what_was_moved(jumps, words):
    assert words in summary(search(*jumps))


def test_table_and_log_line_are_written_once(small, config, tmp_path, caplog):
    module, name = make_module([small], config()), small.series[0].name
    module.records[name] = replace(module.records[name], search=search(0.0, 0.2))
    report, trainer = DefocusSearchReport(str(tmp_path / "searches")), lightning.Trainer(logger=False)
    with caplog.at_level(logging.INFO, "mlit"):
        for _ in range(2):
            report.on_train_batch_end(trainer, module, None, SeriesBatch(name, None, ""), 0)
            module.records[name] = module.records[name].without_fit()
    with open(tmp_path / "searches" / f"{name}.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["tilt"] for row in rows] == ["0"] * 5 + ["1"] * 5
    assert [float(row["log_likelihood"]) for row in rows] == list(range(10))
    assert {row["accepted"] for row in rows[:5]} == {"False"}
    assert {(row["accepted"], row["jump_um"]) for row in rows[5:]} == {("True", "0.2000")}
    assert caplog.text.count("moved tilt 1 by +0.200") == 1
