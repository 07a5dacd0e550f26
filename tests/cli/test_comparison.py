"""The table at the end of a sweep."""

import csv
import json
from pathlib import Path

import pytest

from mlit.cli.comparison import COLUMNS, comparison, print_comparison

ERROR = {"position_angstrom": 1.25, "rotation_deg": 0.5, "defocus_nm": 30.0}


def summary(held_out, seconds=12.4, error=ERROR):
    return {
        "species": {"particle": {"resolution_angstrom": 9.87654}},
        "held_out_log_likelihood": held_out,
        "fit_resolution_angstrom": 10.0 if held_out is not None else None,
        "expected_error": error,
        "wall_seconds": seconds,
    }


def make_run(folder: Path, number: int, words: list[str], content) -> None:
    hydra = folder / str(number) / ".hydra"
    hydra.mkdir(parents=True)
    (hydra / "overrides.yaml").write_text("".join(f"- {word}\n" for word in words), encoding="utf-8")
    if content is not None:
        (folder / str(number) / "summary.json").write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def sweep(tmp_path):
    for number, (model, held_out) in enumerate({"coarse": 3.1, "standard": 3.7, "fine": 3.6}.items()):
        make_run(tmp_path, number, ["seed=1", f"model={model}"], summary(held_out))
    make_run(tmp_path, 10, ["seed=1", "model=broken"], None)
    make_run(tmp_path, 11, ["seed=1", "schedule=none"], summary(None, error=None))
    return tmp_path


def test_finished_runs_in_their_order(sweep):
    rows = comparison(sweep)
    assert [row[0] for row in rows] == ["0", "1", "2", "11"]
    assert rows[1] == ("1", "seed=1 model=standard", "9.877", "3.700", "10.000", "1.250", "0.500", "12")
    assert rows[3][3:7] == ("", "", "", ""), "nothing was fitted"


def test_the_printed_table_shows_what_differs_and_the_best(sweep, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    print_comparison(comparison(sweep))
    printed = capsys.readouterr().out
    assert "model=standard" in printed
    assert "seed=1" not in printed


def test_a_sweep_ends_with_its_table(call, run_instead, tmp_path, capsys):
    def run(cfg):
        Path(cfg.output, "summary.json").write_text(json.dumps(summary(float(cfg.seed))), encoding="utf-8")

    run_instead(run)
    words = ("data.settings=project/s", "data.particles=project/p", "species.diameter=280")
    assert call("refine", *words, "output=out", "-m", "seed=3,4") == 0
    assert "held-out" in capsys.readouterr().out
    with open(tmp_path / "out" / "comparison.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row[3] for row in rows[1:]] == ["3.000", "4.000"]


def test_a_sweep_without_results_has_no_table(call, run_instead, tmp_path, capsys):
    run_instead(lambda cfg: None)
    words = ("data.settings=project/s", "data.particles=project/p", "species.diameter=280")
    assert call("refine", *words, "output=out", "-m", "seed=3,4") == 0
    assert not (tmp_path / "out" / "comparison.csv").exists()
    assert "held-out" not in capsys.readouterr().out
