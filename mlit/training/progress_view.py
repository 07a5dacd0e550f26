"""One line on a terminal that shows how far a run is, below the lines of the log."""

import logging
import sys
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

ONE_SERIES = "one_series"  # attribute of log records that the view stands for on a terminal
REFRESHES_PER_SECOND = 2


@dataclass(frozen=True)
class State:
    """What is shown.

    Attributes
    ----------
    iteration
        Which one of how many.
    stage
        What is being done.
    done, total
        Series of the iteration.
    left
        Time left.
    score
        What the last iteration reached.
    """

    iteration: str = ""
    stage: str = ""
    done: int = 0
    total: int = 0
    left: str = ""
    score: str = ""


def has_terminal() -> bool:
    """Whether standard output is a terminal on which a line can be renewed."""
    return sys.stdout.isatty() and not Console().is_dumb_terminal


class ProgressView:
    """Renews its line until it is stopped; the log is shown above, without the lines of single series.

    Parameters
    ----------
    console
        Where to draw; standard output if not given.
    """

    def __init__(self, console: Console | None = None) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.fields[state].iteration}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("series"),
            TextColumn("[bold]{task.fields[state].stage}"),
            TextColumn("{task.fields[state].left}"),
            TextColumn("{task.fields[state].score}"),
        )
        self._progress = Progress(*columns, console=console, transient=True, refresh_per_second=REFRESHES_PER_SECOND)
        self._task = self._progress.add_task("", total=None, state=State())
        self._handlers: list[logging.StreamHandler] = []

    def start(self) -> None:
        """Show the line; what the log writes to the terminal goes above it."""
        streams = (sys.stdout, sys.stderr)
        handlers = [h for h in logging.getLogger().handlers if isinstance(h, logging.StreamHandler)]
        self._handlers = [h for h in handlers if h.stream in streams]
        self._progress.start()
        for handler in self._handlers:
            handler.setStream(sys.stdout)  # which rich has replaced
            handler.addFilter(_not_of_one_series)

    def show(self, state: State) -> None:
        """Renew the line."""
        self._progress.update(self._task, completed=state.done, total=state.total or None, state=state)

    def stop(self) -> None:
        """Take the line away."""
        self._progress.stop()
        for handler in self._handlers:
            handler.removeFilter(_not_of_one_series)
            handler.setStream(sys.stdout)
        self._handlers = []


def _not_of_one_series(record: logging.LogRecord) -> bool:
    return not getattr(record, ONE_SERIES, False)
