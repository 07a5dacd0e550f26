"""Time and memory that work takes on a device."""

import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from mlit.devices import cuda_indices
from mlit.errors import InputError

CPU = torch.device("cpu")


def device_of(trainer: Mapping[str, Any]) -> torch.device:
    """Where a run with these options of the trainer computes.

    Raises
    ------
    InputError
        If that is a GPU, and there is none that could be timed.
    """
    devices = cuda_indices(trainer)
    if trainer["accelerator"] not in ("cpu", "auto") and not devices:
        raise InputError(f"trainer.accelerator={trainer['accelerator']}: no CUDA GPU to measure here; give trainer=cpu")
    return torch.device("cuda", devices[0]) if devices else CPU


def clock_of(device: torch.device) -> Callable[[], float]:
    """Return a clock: seconds of all cores together, which other programs lengthen less than those on the wall.

    A GPU goes on while the CPU asks it for more, so there it is the time on the wall, once the GPU has done all.
    """
    if device.type != "cuda":
        return time.process_time

    def seconds() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return seconds


def peak_memory_mib(device: torch.device = CPU) -> float:
    """Most memory that this process has held so far, on a GPU that of the GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return _peak_memory_mib()


def _peak_memory_mib() -> float:
    """Most memory of the computer; ``getrusage`` of a Linux process counts what its parent held too."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
