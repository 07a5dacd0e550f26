"""What a measurement was taken on."""

import os
import platform
from importlib.metadata import version

import torch

from mlit.benchmark.clock import clock_of
from mlit.parallel import cores, one_thread_each

COPIED_BYTES = 1 << 28  # more than any cache holds
COPIES, COPIES_IN_A_ROW = 5, 4


def machine_facts() -> dict[str, str | int | float]:
    """Versions, cores, how busy they are, and the GPU; nothing that names the computer."""
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {
        "mlit": version("mlit"),
        "torch": version("torch"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count() or 1,
        "cores_used": cores(),
        "load": round(os.getloadavg()[0], 1),
        **gpu,
    }


def facts_line(facts: dict[str, str | int | float]) -> str:
    """Write the facts in one line."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items())


def copy_bytes_per_second(device: torch.device) -> float:
    """Bytes that one core, or a GPU, reads and writes in a second when it copies memory: the best of some trials."""
    source = torch.ones(COPIED_BYTES // 4, device=device)
    target, now = torch.empty_like(source), clock_of(device)
    seconds = []
    with one_thread_each():
        for _ in range(COPIES):
            started = now()
            for _ in range(COPIES_IN_A_ROW):
                target.copy_(source)
            seconds.append(now() - started)
    return 2 * COPIED_BYTES * COPIES_IN_A_ROW / min(seconds)
