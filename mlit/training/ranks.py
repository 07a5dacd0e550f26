"""The processes of one run: who is first, what the first gets from the others, and what it gives them.

This file alone speaks to ``torch.distributed``. In a run of one process all of it does next to nothing. Lightning
starts the processes and sets up the group; its numbers of the processes, ranks, count from 0 for the first.

All processes have to call :func:`add_up`, :func:`gather` and :func:`from_first` in the same order.
"""

import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning.fabric.utilities.rank_zero import rank_zero_only
from torch import Tensor

from mlit.errors import one_line

LOG = logging.getLogger("mlit")
Result = TypeVar("Result")


def joined() -> bool:
    """Whether the processes know each other; before that, and in a run of one process, they do not."""
    return dist.is_available() and dist.is_initialized()


class Meeting:
    """The group in which the processes meet at the end of an epoch: they wait longer there than at their start."""

    group: Any = None

    @classmethod
    def arrange(cls, wait: timedelta) -> None:
        """Make it, with the time that the first to come waits for the last."""
        cls.group = dist.new_group(backend="gloo", timeout=wait)


def count() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if joined() else 1


def rank() -> int:
    """Rank of this process; before the processes know each other, what its environment says."""
    return dist.get_rank() if joined() else int(getattr(rank_zero_only, "rank", None) or 0)


def is_first() -> bool:
    """Whether this process does what one process does for all."""
    return rank() == 0


def leave_to_first() -> None:
    """End this process unless it is the first: what follows is the work of one.

    Raises
    ------
    SystemExit
        With code 0.
    """
    if not is_first():
        sys.exit(0)


def own_path(path: Path) -> Path:
    """Path of this process beside one of a run of one process: ``sums.pt`` becomes ``sums_1_of_4.pt``."""
    return path if count() == 1 else path.with_stem(f"{path.stem}_{rank()}_of_{count()}")


def add_up(sums: Tensor) -> None:
    """Add the sums of all processes to those of the first, in place; those of the others are spoilt.

    Parameters
    ----------
    sums
        Of the same shape everywhere. They are sent part by part along the first axis, which bounds memory.
    """
    if count() == 1:
        return
    for part in sums:
        sent = part.cpu()
        with in_company():
            dist.reduce(sent, dst=0, group=Meeting.group)
        part.copy_(sent)


def gather(found: Any) -> list[Any]:
    """Give the first process what each process has found, in the order of ranks; the others get nothing.

    Tensors arrive on the CPU.
    """
    if count() == 1:
        return [found]
    mine, packed = _pack(found), [b""] * count() if is_first() else None
    with in_company():
        dist.gather_object(mine, packed, dst=0, group=Meeting.group)
    return [_unpack(one) for one in packed or ()]


def from_first(work: Callable[[], Result]) -> Result:
    """Let the first process do some work, and return what comes out everywhere.

    Tensors arrive on the CPU. If the work fails, the others end quietly: the first says why.

    Raises
    ------
    Exception
        What the work raises, in the first process.
    SystemExit
        In the others, where it has failed.
    """
    if count() == 1:
        return work()
    if not is_first():
        return _receive()
    try:
        done = work()
    except BaseException:
        _send(None)
        raise
    _send((done,))
    return done


def _send(message: Any) -> None:
    box = [None if message is None else _pack(message)]
    with in_company():
        dist.broadcast_object_list(box, src=0, group=Meeting.group)


def _receive() -> Any:
    box: list[Any] = [None]
    with in_company():
        dist.broadcast_object_list(box, src=0, group=Meeting.group)
    if box[0] is None:
        sys.exit(0)
    return _unpack(box[0])[0]


@contextmanager
def in_company() -> Iterator[None]:
    """Take the loss of another process for an interruption, from which the same command goes on.

    Raises
    ------
    KeyboardInterrupt
        If another process has gone, in the first.
    SystemExit
        In the others, which leave it to the first to say so.
    """
    try:
        yield
    except RuntimeError as error:
        leave_to_first()
        LOG.error("another process of this run has ended: %s", one_line(error))
        raise KeyboardInterrupt from error


def _pack(values: Any) -> bytes:
    """Turn values and tensors of any device into bytes."""
    stream = io.BytesIO()
    torch.save(values, stream)
    return stream.getvalue()


def _unpack(packed: bytes) -> Any:
    """Undo :func:`_pack`; what comes from other processes of this run is trusted."""
    return torch.load(io.BytesIO(packed), map_location="cpu", weights_only=False)
