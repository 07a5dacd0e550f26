"""Which series are done in the iteration under way: what an interrupted run goes on from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mlit.io.tensor_file import write_tensors


@dataclass(frozen=True)
class SeriesLedger:
    """One file for each series with its parameters after its last fit.

    Attributes
    ----------
    folder
        Where the files are.
    """

    folder: Path

    def record(self, name: str, epoch: int, state: dict[str, Any]) -> None:
        """Write down that a series is done in an epoch, with its state."""
        write_tensors(self.folder / f"{name}.pt", {"epoch": epoch, "state": state})

    def find(self, name: str, epoch: int) -> dict[str, Any] | None:
        """State of a series if it is done in this epoch, else None."""
        path = self.folder / f"{name}.pt"
        if not path.is_file():
            return None
        entry = torch.load(path, weights_only=True)
        return entry["state"] if entry["epoch"] == epoch else None

    def written(self, name: str) -> int | None:
        """When a series was last written down, in ns of the file system's clock; None where it never was."""
        path = self.folder / f"{name}.pt"
        return path.stat().st_mtime_ns if path.is_file() else None
