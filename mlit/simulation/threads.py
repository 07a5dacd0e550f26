"""How PyTorch uses threads while a project is simulated."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def single_threaded_operations() -> Iterator[None]:
    """Keep PyTorch from splitting single operations over threads; the former number comes back at the end.

    Sums then run in one order, and results are the same to the last bit on any number of cores. Work is
    shared out in larger pieces instead, a tilt a thread.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
