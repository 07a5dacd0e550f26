"""Work shared out over the cores of a CPU in pieces large enough to be worth it.

PyTorch splits every single operation over the cores and waits for all of them at its end. With operations of a
fraction of a millisecond that wait costs more than the work as soon as another program uses a core. Here each core
works through whole pieces on its own, with PyTorch held to one thread.
"""

import ctypes
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
Result = TypeVar("Result")


# Number and value of settings of glibc's mallopt: map only huge blocks apart, never give memory back, one pool for all.
GLIBC_MALLOC = {"M_MMAP_THRESHOLD": (-3, 1 << 28), "M_TRIM_THRESHOLD": (-1, (1 << 31) - 1), "M_ARENA_MAX": (-8, 1)}


def cores() -> int:
    """Cores that this process may use: ``OMP_NUM_THREADS`` (of a list the first) if set, else those it is granted."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def reuse_memory() -> None:
    """Let the C library keep the memory that large tensors leave, for the next ones.

    By default it hands every block of more than some megabytes back to the system and asks for it again, page by
    page: a tenth of the time of a run on a CPU. Does nothing where the library has no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        for setting, value in GLIBC_MALLOC.values():
            mallopt(setting, value)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Hold PyTorch to one thread an operation inside the block; sums then run in one order on any machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_pieces(
    function: Callable[[Piece], Result],
    pieces: Iterable[Piece],
    device: torch.device | str = "cpu",
    at_once: int | None = None,
) -> list[Result]:
    """Apply a function to every piece and return the results in order.

    On a CPU the pieces are shared out over the cores; on other devices, which are parallel by themselves, they run
    one after the other. The function must write to nothing that another piece writes to. ``at_once`` bounds the pieces
    that are worked on at the same time, where memory does.
    """
    todo = list(pieces)
    workers = min(cores(), len(todo), at_once or len(todo))
    if torch.device(device).type != "cpu" or workers < 2:
        return [function(piece) for piece in todo]
    gradients, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def work(piece: Piece) -> Result:
        with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
            return function(piece)

    # The math library counts its threads for each thread apart, and starts with all cores in a new one.
    with one_thread_each(), ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(work, todo))
