"""Sums of the maps under way, written down now and then: what an interrupted iteration goes on from."""

import time
from collections.abc import Sequence
from pathlib import Path

import torch

from mlit.fourier.insertion import FourierSums
from mlit.io.tensor_file import write_tensors
from mlit.training.ranks import is_first, own_path

SECONDS_BETWEEN = 300.0  # of work that an interruption can cost


class PartialSums:
    """One file with the sums over the series done so far in an iteration, for each process of the run.

    The file can be large, so it is not written after every series. A short iteration never writes it.

    Parameters
    ----------
    path
        The file.
    seconds_between
        Least time between two writings, and before the first.
    """

    def __init__(self, path: Path, seconds_between: float = SECONDS_BETWEEN) -> None:
        self.shared_path, self.seconds_between = path, seconds_between
        self._written = time.monotonic()

    @property
    def path(self) -> Path:
        """File of this process; one of a run of another number of processes is not taken up."""
        return own_path(self.shared_path)

    def take_up(self, sums: FourierSums, epoch: int) -> list[str]:
        """Fill empty sums of an epoch with what was written down; return the names of the series in them."""
        self._written = time.monotonic()
        if not self.path.is_file():
            return []
        entry = torch.load(self.path, weights_only=True, mmap=True)
        if entry["epoch"] != epoch or entry["rows"].shape != sums.rows.shape:
            return []
        sums.rows.copy_(entry["rows"])
        return list(entry["names"])

    def record(self, sums: FourierSums, epoch: int, names: Sequence[str]) -> None:
        """Write the sums over some series down, if it is time."""
        if time.monotonic() - self._written < self.seconds_between:
            return
        write_tensors(self.path, {"epoch": epoch, "names": list(names), "rows": sums.rows.cpu()})
        self._written = time.monotonic()

    def drop(self) -> None:
        """Forget the sums of an epoch that is over, of all processes."""
        if is_first():
            path = self.shared_path
            for file in (path, *path.parent.glob(f"{path.stem}_*_of_*{path.suffix}")):
                file.unlink(missing_ok=True)
