"""The last lines of a run: what it has changed, and the next sensible step."""

import logging
import math
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mlit.cli.closing_weights import weight_rows
from mlit.errors import only_warned
from mlit.project.recommend import advise
from mlit.project.recommend_figures import Movement, RunFigures
from mlit.project.recommend_read import read_fit_scores, read_run

LOG = logging.getLogger("mlit")
_WIDTH_WITHOUT_TERMINAL = 100  # characters


def close_run(run: Path) -> None:
    """Close a run, which is not lost if its figures cannot be put together: a warning says so."""
    with only_warned("no closing table", "the results are complete, summary.json has their figures"):
        close(run)


def close(run: Path) -> None:
    """Print start → now, what is suspect, and what to do next.

    Parameters
    ----------
    run
        Folder of a finished run.
    """
    figures = read_run(run)
    table = Table(title=f"{run}: start → now")
    for heading in ("", "start", "now"):
        table.add_column(heading, justify="right" if heading else "left")
    for row in (*closing_rows(figures, read_fit_scores(run)), *weight_rows(run)):
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL, highlight=False)
    console.print(table)
    console.print(escape(closing_line(figures)), soft_wrap=True)
    advice = advise(figures)[0]
    LOG.info("next: %s: %s (how: mlit recommend output=%s)", advice.what, advice.why, run)


def closing_rows(run: RunFigures, scores: list[tuple[float, float]]) -> Iterator[tuple[str, str, str]]:
    """Rows of the table: label, start, now.

    Parameters
    ----------
    run
        The run.
    scores
        Resolution of the fits and held-out score of an image, for each iteration that fitted.
    """
    first, last = run.resolutions_angstrom[0], run.resolution_angstrom
    yield "half maps agree (FSC 0.143) to, Å", f"{first:.2f}" if run.moved or run.weighted else "", f"{last:.2f}"
    comparable = [score for detail, score in scores if math.isclose(detail, scores[-1][0], rel_tol=0.02)]
    if comparable:
        start = f"{comparable[0]:.3f}" if len(comparable) > 1 else ""
        yield f"held-out score of an image, fits to {scores[-1][0]:.2f} Å", start, f"{comparable[-1]:.3f}"
    if run.moved:
        yield "particles moved in an iteration (rms)", _both(run.moved[0]), _both(run.moved[-1])
        yield "expected error that remains", "", _both(run.expected_error)


def closing_line(run: RunFigures) -> str:
    """Series used, rejected and left out, and suspects, in one line."""
    rejected = sum(one.rejected for one in run.series)
    parts = [f"{len(run.series)} series used" + (f", the last fits of {rejected} rejected" if rejected else "")]
    if run.left_out:
        parts.append(f"{len(run.left_out)} left out ({', '.join(run.left_out)}; why: summary.json)")
    suspects = [f"{count} × {kind}" for kind, count in run.suspects.items() if count]
    parts.append(f"{', '.join(suspects)} (suspects.csv)" if suspects else "no suspects")
    return "; ".join(parts)


def _both(moved: Movement) -> str:
    return f"{moved.position_angstrom:.2f} Å, {moved.rotation_deg:.2f}°"
