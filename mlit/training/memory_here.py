"""Memory that a process finds: of the computer, of its job, of its GPU, and what others have left of it."""

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from mlit.devices import cuda_indices

CGROUPS, OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
SYSTEM_MEMORY = Path("/proc/meminfo")


def memory_here() -> float:
    """Bytes that this process may use: those of the computer, or fewer where a job has a limit; infinity if unknown."""
    names = ("SC_PHYS_PAGES", "SC_PAGE_SIZE")
    known = hasattr(os, "sysconf") and all(name in os.sysconf_names for name in names)
    installed = math.prod(os.sysconf(name) for name in names) if known else math.inf
    return min([installed, *granted(CGROUPS, OWN_CGROUP)])


def free_memory() -> float:
    """Bytes of these that nobody uses at the moment; infinity if unknown."""
    return min(memory_here(), _available(SYSTEM_MEMORY))


def free_gpu_memory(trainer: Mapping[str, Any]) -> float | None:
    """Bytes that nobody uses on the GPU of this process; None where a run with these options of the trainer uses none.

    Other GPUs are not asked: that alone takes some of their memory.
    """
    devices = cuda_indices(trainer)
    if not devices:
        return None
    local_rank = int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0")))
    return float(torch.cuda.mem_get_info(devices[local_rank % len(devices)])[0])


def granted(root: Path, own: Path) -> Iterator[float]:
    """Yield the limits of the control groups (version 2) that hold this process, such as a job of a cluster.

    Parameters
    ----------
    root
        Where the groups are mounted.
    own
        File that names the group of this process.
    """
    lines = own.read_text(encoding="ascii").splitlines() if own.is_file() else []
    name = next((line.removeprefix("0::").strip("/") for line in lines if line.startswith("0::")), "")
    for folder in (root / name, *(root / name).parents):
        limit = folder / "memory.max"
        text = limit.read_text(encoding="ascii").strip() if limit.is_file() else ""
        if text.isdecimal():
            yield float(text)
        if folder == root:
            return


def _available(table: Path) -> float:
    """Read what Linux takes for free: unused, or given back at once when asked for."""
    lines = table.read_text(encoding="ascii").splitlines() if table.is_file() else []
    found = [line.split() for line in lines if line.startswith("MemAvailable:")]
    return float(found[0][1]) * 1024 if found else math.inf
