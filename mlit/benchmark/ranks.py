"""A whole run against the number of processes that share its series."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlit.benchmark.data import simulated_project
from mlit.benchmark.scaling import Size
from mlit.benchmark.table import number, plain_table
from mlit.cli.config_folder import config_folder, group_options

TRAINER = "ddp"
# A process that starts others only knows the largest of all: so each gets a small one of its own to start it.
STARTER = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
sys.exit(code)
"""


@dataclass(frozen=True)
class RankCost:
    """What a run took.

    Attributes
    ----------
    ranks
        Processes, each with one core.
    seconds
        On the wall, by the run's own account: without the start of Python.
    memory_mib
        Most that one process held.
    """

    ranks: int
    seconds: float
    memory_mib: float


def why_no_ranks() -> str | None:
    """Say why several processes cannot be measured; None where they can."""
    if TRAINER not in group_options([config_folder()], "trainer"):
        return f"there is no trainer={TRAINER}"
    return None


def measure_ranks(
    ranks: Sequence[int], size: Size, words: Sequence[str], folder: Path, width: int, report: Callable[[str], None]
) -> list[RankCost]:
    """Simulate a project and refine it once with each number of processes."""
    project = simulated_project(folder / "project", size.particles, size.tilts, width, series=size.series)
    costs = []
    for count in ranks:
        output = folder / f"ranks_{count}"
        given = [*project, "schedule=quick", "denoiser=none", "logger=none", "history.record=false", *words]
        trainer = [f"trainer={TRAINER}", "trainer.accelerator=cpu", f"trainer.devices={count}", f"output={output}"]
        command = [sys.executable, "-m", "mlit", "refine", *given, *trainer]
        most = peak_mib(command, os.environ | {"OMP_NUM_THREADS": "1"})
        seconds = json.loads((output / "summary.json").read_text(encoding="utf-8"))["wall_seconds"]
        costs.append(RankCost(count, seconds, most))
        report(f"{count} processes: {seconds:.1f} s")
    return costs


def peak_mib(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Run a command and return the most memory that a process of it has held.

    Raises
    ------
    subprocess.CalledProcessError
        If the command fails.
    """
    starter = [sys.executable, "-c", STARTER, *command]
    return float(subprocess.run(starter, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout)


def ranks_table(costs: Sequence[RankCost]) -> str:
    """Lay out time, memory and how much of the gain that there could be was reached."""
    first = costs[0]
    rows = [
        [
            str(cost.ranks),
            number(cost.seconds, 1),
            number(cost.memory_mib, 0),
            f"{100 * first.seconds * first.ranks / (cost.seconds * cost.ranks):.0f} %",
        ]
        for cost in costs
    ]
    return plain_table(["processes", "run, s", "MiB in one", "of the ideal speed"], rows)
