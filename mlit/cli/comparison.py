"""The table that closes a sweep: what its runs reached, side by side."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from mlit.cli.sweep import end_with_failures, failure_of
from mlit.io.csv_table import write_csv

LINE_WIDTH = 200
SAME_DETAIL = 1.02  # fits whose resolutions differ by less looked equally far
LEGEND = "held-out: log-likelihood of an image that its fit has not seen, in the mean; higher is better (*: the best)"
CAUTION = "held-out does not compare where 'fitted to' differs: give the resolutions in the schedule"


@dataclass(frozen=True)
class Row:
    """What one run of a sweep reached; None where it has no such figure."""

    run: int
    settings: str
    status: str
    resolution_angstrom: float | None = None
    held_out: float | None = None
    fitted_to_angstrom: float | None = None
    position_error_angstrom: float | None = None
    rotation_error_deg: float | None = None
    seconds: float | None = None
    best: bool = False

    def cells(self) -> tuple[str, ...]:
        """Text for each of :data:`COLUMNS`."""
        *values, seconds, best = astuple(self)
        figures = ["" if value is None else f"{value:.3f}" for value in values[3:]]
        return *map(str, values[:3]), *figures, "" if seconds is None else f"{seconds:.0f}", "*" if best else ""


COLUMNS = (
    "run",
    "settings",
    "status",
    "FSC 0.143, Å",
    "held-out",
    "fitted to, Å",
    "expected error, Å",
    "expected error, °",
    "time, s",
    "best",
)


class Comparison(Callback):
    """Prints and writes the table once all runs of a sweep are done."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Compare the runs in the folder of the sweep, and leave with the exit code of those that have failed."""
        folder = Path(config.hydra.sweep.dir)
        rows = comparison(folder)
        if any(row.resolution_angstrom is not None for row in rows):
            write_comparison(folder / "comparison.csv", rows)
            text = comparison_text(rows)
            print(text, flush=True)
            with open(folder / "mlit.log", "a", encoding="utf-8") as log:
                log.write(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}\n{text}\n")
        end_with_failures(folder)


def comparison(folder: Path) -> list[Row]:
    """One row for each run in the numbered subfolders of a sweep, the best of them marked."""
    runs = [path for path in folder.iterdir() if path.name.isdecimal() and (path / ".hydra").is_dir()]
    rows = [_row(run) for run in sorted(runs, key=lambda path: int(path.name))]
    best = max((row.held_out for row in rows if row.held_out is not None), default=None)
    return [replace(row, best=best is not None and row.held_out == best) for row in rows]


def _row(run: Path) -> Row:
    settings = " ".join(map(str, OmegaConf.load(run / ".hydra" / "overrides.yaml")))
    failure, path = failure_of(run), run / "summary.json"
    status = f"failed: {failure[1]}" if failure else "done" if path.is_file() else "not finished"
    summary = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    row = Row(int(run.name), settings, status)
    return _with_figures(row, summary) if "species" in summary else row


def _with_figures(row: Row, summary: Mapping[str, Any]) -> Row:
    error = summary["expected_error"] or {}
    return replace(
        row,
        resolution_angstrom=min(species["resolution_angstrom"] for species in summary["species"].values()),
        held_out=summary["held_out_log_likelihood"],
        fitted_to_angstrom=summary["fit_resolution_angstrom"],
        position_error_angstrom=error.get("position_angstrom"),
        rotation_error_deg=error.get("rotation_deg"),
        seconds=summary["wall_seconds"],
    )


def write_comparison(path: Path, rows: Sequence[Row]) -> None:
    """Write the table as CSV."""
    write_csv(path, COLUMNS, (row.cells() for row in rows))


def comparison_text(rows: Sequence[Row]) -> str:
    """Lay out the table without the settings that all runs share."""
    common = set.intersection(*(set(row.settings.split()) for row in rows))
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("settings", "status") else "right", overflow="fold")
    for row in rows:
        own = " ".join(word for word in row.settings.split() if word not in common)
        table.add_row(*replace(row, settings=own).cells())
    text = io.StringIO()
    Console(file=text, width=LINE_WIDTH).print(table)
    fitted = [row.fitted_to_angstrom for row in rows if row.fitted_to_angstrom is not None]
    differ = bool(fitted) and max(fitted) > SAME_DETAIL * min(fitted)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join([*lines, LEGEND, *([CAUTION] if differ else [])])
