"""What a measurement was taken on."""

import os
import platform
from importlib.metadata import version

from mlit.parallel import cores


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
