"""The table at the end of a sweep."""

import csv
import json
from pathlib import Path

import pytest

from mlit.cli.comparison import COLUMNS, comparison, comparison_text

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


def test_all_runs_in_their_order(sweep):
    rows = comparison(sweep)
    assert [row.run for row in rows] == [0, 1, 2, 10, 11]
    cells = ("1", "seed=1 model=standard", "done", "9.877", "3.700", "10.000", "1.250", "0.500", "12", "*")
    assert rows[1].cells() == cells
    assert rows[3].cells() == ("10", "seed=1 model=broken", "not finished", *[""] * 7)
    assert rows[4].cells()[4:8] == ("", "", "", ""), "nothing was fitted"
    assert [row.best for row in rows] == [False, True, False, False, False]


def test_a_failed_run_says_why(sweep):
    (sweep / "10" / "failure.json").write_text('{"exit_code": 2, "reason": "a.xml: is damaged"}', encoding="utf-8")
    assert comparison(sweep)[3].status == "failed: a.xml: is damaged"


def test_the_printed_table_shows_what_differs_and_the_best(sweep):
    lines = comparison_text(comparison(sweep)).splitlines()
    assert len(lines) == 1 + 5 + 1
    assert lines[2].split() == ["1", "model=standard", "done", "9.877", "3.700", "10.000", "1.250", "0.500", "12", "*"]
    assert not any("seed=1" in line for line in lines)


def test_scores_of_different_detail_are_not_to_be_compared(sweep):
    make_run(sweep, 3, ["seed=1"], summary(3.9) | {"fit_resolution_angstrom": 9.0})
    assert "does not compare" in comparison_text(comparison(sweep)).splitlines()[-1]


def test_a_sweep_ends_with_its_table(call, run_instead, tmp_path, capsys):
    def run(cfg):
        Path(cfg.output, "summary.json").write_text(json.dumps(summary(float(cfg.seed))), encoding="utf-8")

    run_instead(run)
    words = ("data.settings=project/s", "data.particles=project/p", "species.diameter=280")
    assert call("refine", *words, "output=out", "-m", "seed=3,4") == 0
    printed = capsys.readouterr().out
    assert "held-out" in printed
    log = (tmp_path / "out" / "mlit.log").read_text(encoding="utf-8")
    assert log.splitlines()[1:] == printed.splitlines()[-len(log.splitlines()) + 1 :]
    with open(tmp_path / "out" / "comparison.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row[4] for row in rows[1:]] == ["3.000", "4.000"]


def test_a_sweep_without_results_has_no_table(call, run_instead, tmp_path, capsys):
    run_instead(lambda cfg: None)
    words = ("data.settings=project/s", "data.particles=project/p", "species.diameter=280")
    assert call("refine", *words, "output=out", "-m", "seed=3,4") == 0
    assert not (tmp_path / "out" / "comparison.csv").exists()
    assert "held-out" not in capsys.readouterr().out
