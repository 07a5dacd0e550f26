"""What a measurement was taken on."""

import os
import platform
import time
from importlib.metadata import version

import torch

from mlit.parallel import cores, one_thread_each

COPIED_BYTES = 1 << 28  # more than any cache holds
COPIES = 5


def machine_facts() -> dict[str, str | int | float]:
    """Versions, cores and how busy they are; nothing that names the computer."""
    return {
        "mlit": version("mlit"),
        "torch": version("torch"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count() or 1,
        "cores_used": cores(),
        "load": round(os.getloadavg()[0], 1),
    }


def facts_line(facts: dict[str, str | int | float]) -> str:
    """Write the facts in one line."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items())


def copy_bytes_per_second() -> float:
    """Bytes that one core reads and writes in a second when it copies memory: the best of some trials."""
    source = torch.ones(COPIED_BYTES // 4)
    target = torch.empty_like(source)
    seconds = []
    with one_thread_each():
        for _ in range(COPIES):
            started = time.perf_counter()
            target.copy_(source)
            seconds.append(time.perf_counter() - started)
    return 2 * COPIED_BYTES / min(seconds)
