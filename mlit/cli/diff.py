"""Say what has changed between two commits of a folder of results."""

import logging
import tempfile
from pathlib import Path

from omegaconf import DictConfig

from mlit.project.history import open_history
from mlit.project.history_diff import compare
from mlit.project.history_moves import Move, Spread
from mlit.project.history_store import ObjectStore

LOG = logging.getLogger("mlit")


def run(cfg: DictConfig) -> None:
    """Print how far particles and tilts have moved, and the files that differ.

    Parameters
    ----------
    cfg
        The composed ``conf/diff.yaml``.

    Raises
    ------
    InputError
        If there is no such commit, or what it holds was tampered with.
    """
    with open_history(Path(cfg.history.folder)) as history, tempfile.TemporaryDirectory() as scratch:
        first, second = history.find(str(cfg.history.a)), history.find(str(cfg.history.b))
        difference = compare(ObjectStore(history.store), first, second, Path(scratch))
    LOG.info("from %s (%s) to %s (%s)", first.short, first.message, second.short, second.message)
    for file, move in difference.particles:
        LOG.info("%s: %s: %d particles, %s", file, move.name, move.entries, in_words(move))
    for file, move in difference.tilts:
        LOG.info("%s: %d tilts, %s", file, move.entries, in_words(move))
    for reason in difference.not_compared:
        LOG.warning("not compared: %s", reason)
    LOG.info("%d files differ", len(difference.files))
    for line in difference.files:
        LOG.info("%s", line)


def in_words(move: Move) -> str:
    """Write a move in one line: rms, median and largest of each quantity."""
    parts = [f"shift {_numbers(move.shift_angstrom)} Å", f"turn {_numbers(move.turn_deg)}°"]
    if move.defocus_um is not None:
        parts.append(f"defocus {_numbers(move.defocus_um)} µm")
    return ", ".join(parts) + " (rms / median / largest)"


def _numbers(spread: Spread) -> str:
    return f"{spread.rms:.3f} / {spread.median:.3f} / {spread.largest:.3f}"
