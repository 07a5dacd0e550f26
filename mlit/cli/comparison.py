"""The table that closes a sweep: what its runs reached, side by side."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from mlit.io.atomic import atomic_write

COLUMNS = (
    "run",
    "settings",
    "FSC 0.143, Å",
    "held-out",
    "fitted to, Å",
    "expected error, Å",
    "expected error, °",
    "time, s",
)


class Comparison(Callback):
    """Prints and writes the table once all runs of a sweep are done."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Compare the runs in the folder of the sweep."""
        folder = Path(config.hydra.sweep.dir)
        rows = comparison(folder)
        if rows:
            write_comparison(folder / "comparison.csv", rows)
            print_comparison(rows)


def comparison(folder: Path) -> list[tuple[str, ...]]:
    """Rows of :data:`COLUMNS` for all finished runs in the numbered subfolders of a sweep."""
    runs = [path for path in folder.iterdir() if path.name.isdecimal() and (path / "summary.json").is_file()]
    summaries = {run: json.loads((run / "summary.json").read_text(encoding="utf-8")) for run in runs}
    refined = [run for run in runs if "species" in summaries[run]]
    return [_row(run, summaries[run]) for run in sorted(refined, key=lambda path: int(path.name))]


def _row(run: Path, summary: Mapping[str, Any]) -> tuple[str, ...]:
    words = OmegaConf.load(run / ".hydra" / "overrides.yaml")
    resolutions = [species["resolution_angstrom"] for species in summary["species"].values()]
    error = summary["expected_error"] or {}
    figures = (
        min(resolutions),
        summary["held_out_log_likelihood"],
        summary["fit_resolution_angstrom"],
        error.get("position_angstrom"),
        error.get("rotation_deg"),
    )
    return run.name, " ".join(map(str, words)), *map(_figure, figures), f"{summary['wall_seconds']:.0f}"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def write_comparison(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Write the table as CSV."""
    with atomic_write(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])


def print_comparison(rows: Sequence[Sequence[str]]) -> None:
    """Print the table without the settings that all runs share, and mark what predicts held-out images best."""
    common = set.intersection(*(set(row[1].split()) for row in rows))
    best = max(rows, key=lambda row: float(row[3] or "-inf"))
    table = Table(title="held-out: log-likelihood of an image that its fit has not seen, in the mean; higher is better")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "settings" else "right")
    for row in rows:
        settings = " ".join(word for word in row[1].split() if word not in common)
        table.add_row(row[0], settings, *row[2:], style="bold" if row is best and row[3] else None)
    Console().print(table)
