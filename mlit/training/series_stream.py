"""Tilt series one after the other, the images of the next one read while the present one is worked on."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

from mlit.training.fit_batches import is_out_of_memory

Item = TypeVar("Item")
Heed = Callable[[], None]
Read = Callable[[int, Heed], Item]


class AbandonedError(Exception):
    """Raised inside a reading that nobody waits for any more."""


class SeriesStream(Iterable[Item], Generic[Item]):
    """Series in a given order.

    Parameters
    ----------
    read
        Reads a series by its number. It calls what it is given as often as it can, which ends it with an exception
        once the stream is closed.
    order
        Numbers of the series.
    ahead
        Whether a thread reads the next series meanwhile, never more than one.
    leave_out
        Says what stands for a series for which memory does not suffice, even with no other beside it; None lets the
        error through.

    Attributes
    ----------
    order
        Numbers of the series.
    """

    def __init__(
        self,
        read: Read[Item],
        order: Sequence[int],
        ahead: bool,
        leave_out: Callable[[int, Exception], Item] | None = None,
    ) -> None:
        self._read, self.order, self._ahead, self._leave_out = read, list(order), ahead, leave_out
        self._closed = threading.Event()

    def __len__(self) -> int:
        """Count the series."""
        return len(self.order)

    def __iter__(self) -> Iterator[Item]:
        """Start from the first."""
        return _Ahead(self.read, self.read_alone, self.order) if self._ahead else map(self.read_alone, self.order)

    def read(self, index: int) -> Item:
        """Read one series."""
        return self._read(index, self._heed)

    def read_alone(self, index: int) -> Item:
        """Read one series while there is no other; where memory does not suffice, it is left out."""
        try:
            return self.read(index)
        except (RuntimeError, MemoryError) as error:
            if self._leave_out is None or not is_out_of_memory(error):
                raise
            return self._leave_out(index, error)

    def close(self) -> None:
        """Let the thread end soon, so that the program need not wait for it."""
        self._closed.set()

    def _heed(self) -> None:
        if self._closed.is_set():
            raise AbandonedError


class _Ahead(Iterator[Item]):
    """Reads in a thread. It holds no series that it has handed over."""

    def __init__(self, read: Callable[[int], Item], read_alone: Callable[[int], Item], order: Sequence[int]) -> None:
        self._read, self._read_alone, self._left = read, read_alone, deque(order)
        self._thread = ThreadPoolExecutor(1, "mlit-reader", torch.set_num_threads, (1,))
        self._coming = self._begin()

    def _begin(self) -> Future[Item] | None:
        return self._thread.submit(self._read, self._left[0]) if self._left else None

    def __next__(self) -> Item:
        if self._coming is None:
            raise StopIteration
        index = self._left.popleft()
        try:
            found = [self._coming.result()]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            found = []  # there was no room beside the series before, which is done now
        self._coming = None
        item = found[0] if found else self._read_alone(index)
        self._coming = self._begin()
        return item
