"""How many premultiplied images a fit holds at once, and what happens where memory does not suffice."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from mlit.errors import InputError, one_line

LOG = logging.getLogger("mlit")
USUAL_BYTES = 1 << 31  # of a batch
LEAST_BYTES = 1 << 25  # smaller ones save nothing beside what else a fit takes
Result = TypeVar("Result")


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out; PyTorch on a CPU and the libraries of CUDA say it in their texts."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("alloc" in text or "out of memory" in text)


@contextmanager
def enough_memory(name: str) -> Iterator[None]:
    """Say in one line that memory ran out while a series was worked on.

    Raises
    ------
    InputError
        If it did.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        reason = one_line(error)
        raise InputError(
            f"{name}: memory ran out ({reason}): the same command goes on where there is more of it; with a coarser "
            "species.pixel_size_angstrom or a smaller species.box a new run takes less"
        ) from error


class FitBatches:
    """The size of the batches, which shrinks where it proves too large.

    Parameters
    ----------
    at_once
        Bytes in a batch. Two batches are held.

    Attributes
    ----------
    at_once
        The same as far as it has proved good; changes in place.
    """

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once

    def attempt(self, name: str, whole: int, work: Callable[[int], Result], undo: Callable[[], object]) -> Result:
        """Do some work with batches as large as they may be; halve them, and do it again, where memory runs out.

        Parameters
        ----------
        name
            Series that is worked on.
        whole
            Bytes of all its images: larger batches are no larger.
        work
            Takes the bytes of a batch.
        undo
            Brings back what held before the work.

        Raises
        ------
        Exception
            What the work raises, where it is something else or batches are as small as they may be.
        """
        while True:
            try:
                return work(self.at_once)
            except (RuntimeError, MemoryError) as error:
                present = min(self.at_once, whole)
                if not is_out_of_memory(error) or present <= LEAST_BYTES:
                    raise
            undo()
            self.at_once = max(LEAST_BYTES, (present + 1) // 2)
            LOG.warning("%s: memory ran out; trying again with batches of %d MiB", name, self.at_once >> 20)
