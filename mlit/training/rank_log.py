"""Lines for the log from processes that are not the first: it gets them at the end of an epoch, and writes them.

So there is one writer, and no line twice. The first process says what all would say before an epoch and after it.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

from mlit.training.ranks import is_first

NAME_OF_OTHERS = "train_ddp_process_"  # what Lightning calls processes that it starts, and Hydra their files


class HeldBack(logging.Handler):
    """Keeps lines instead of writing them."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, as plain text."""
        record.msg, record.args, record.exc_info = self.format(record), None, None
        self.lines.append(record)


HELD = HeldBack()


def hold_back() -> None:
    """Keep what this process logs from now on, unless it is the first."""
    root = logging.getLogger()
    if is_first() or HELD in root.handlers:
        return
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename).stem.startswith(NAME_OF_OTHERS):
            Path(handler.baseFilename).unlink(missing_ok=True)
    root.addHandler(HELD)


def forget() -> None:
    """Drop what was kept so far."""
    HELD.lines.clear()


def take() -> list[logging.LogRecord]:
    """Return what was kept, and keep it no longer."""
    lines, HELD.lines = HELD.lines, []
    return lines


def say(lines: Iterable[logging.LogRecord]) -> None:
    """Write lines of another process."""
    for line in lines:
        logging.getLogger(line.name).handle(line)
