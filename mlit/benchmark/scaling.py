"""Cost of an iteration against the size of a series."""

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mlit.benchmark import one_iteration
from mlit.benchmark.data import simulated_project
from mlit.benchmark.one_iteration import Cost
from mlit.benchmark.table import number, plain_table

CONSTANT = ("images", "reference table", "references")  # stages that no particle makes longer


@dataclass(frozen=True)
class Size:
    """Particles and tilts of a series."""

    particles: int
    tilts: int

    @property
    def images(self) -> int:
        """Particle images."""
        return self.particles * self.tilts


@dataclass(frozen=True)
class SizeCost:
    """Medians over the repeats at one size.

    Attributes
    ----------
    size
        The size.
    passes
        Passes over the images in the fit.
    stage_seconds
        Seconds of all cores together in each stage.
    wall_seconds
        Seconds on the wall in all stages.
    growing_seconds
        Sum of the stages that particles make longer.
    memory_mib
        Most memory beyond what the imported modules take.
    """

    size: Size
    passes: float
    stage_seconds: dict[str, float]
    wall_seconds: float
    growing_seconds: float
    memory_mib: float


def measure_sizes(
    sizes: Sequence[Size],
    repeats: int,
    resolution_angstrom: float,
    words: Sequence[str],
    folder: Path,
    width: int,
    report: Callable[[str], None],
) -> list[SizeCost]:
    """Simulate a series of every size and run an iteration of each, every time in a process of its own.

    Sizes take turns, so that a computer that is busy for a while slows all of them.

    Parameters
    ----------
    sizes
        Sizes.
    repeats
        Runs of each.
    resolution_angstrom
        Finest detail in the fit.
    words
        Further config words.
    folder
        For the projects.
    width
        Pixels of the simulated images along x and y.
    report
        Called with a line of text now and then.
    """
    projects = {s: simulated_project(folder / f"{s.particles}_{s.tilts}", s.particles, s.tilts, width) for s in sizes}
    costs: dict[Size, list[Cost]] = {size: [] for size in sizes}
    for _ in range(repeats):
        for size in sizes:
            cost = _in_a_process([*projects[size], *words], resolution_angstrom)
            costs[size].append(cost)
            report(f"{size.particles} x {size.tilts}: {sum(cost.stage_seconds.values()):.2f} core s")
    return [_median(size, found) for size, found in costs.items()]


def _in_a_process(words: Sequence[str], resolution_angstrom: float) -> Cost:
    command = [sys.executable, "-m", one_iteration.__name__, str(resolution_angstrom), *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def _median(size: Size, costs: Sequence[Cost]) -> SizeCost:
    stages = {name: statistics.median(c.stage_seconds[name] for c in costs) for name in costs[0].stage_seconds}
    growing = [sum(s for name, s in c.stage_seconds.items() if name not in CONSTANT) for c in costs]
    return SizeCost(
        size,
        statistics.median(c.passes for c in costs),
        stages,
        statistics.median(c.wall_seconds for c in costs),
        statistics.median(growing),
        statistics.median(c.peak_mib - c.base_mib for c in costs),
    )


def slope(costs: Sequence[SizeCost], value: Callable[[SizeCost], float]) -> float:
    """Fit ``log(value) = slope * log(particle images) + constant``: 1 where cost is proportional to size."""
    x = [math.log(cost.size.images) for cost in costs]
    y = [math.log(max(value(cost), 1e-9)) for cost in costs]
    return statistics.linear_regression(x, y).slope


def scaling_table(costs: Sequence[SizeCost]) -> str:
    """Lay out seconds of each stage, with slopes over all sizes and between the two largest."""
    stages = list(costs[0].stage_seconds)
    headings = ["particles x tilts", "passes", *stages, "growing", "ms an image", "all, wall", "MiB"]
    rows = [
        [
            f"{c.size.particles} x {c.size.tilts}",
            number(c.passes, 0),
            *(number(c.stage_seconds[name], 3) for name in stages),
            number(c.growing_seconds, 3),
            number(1e3 * c.growing_seconds / c.size.images, 2),
            number(c.wall_seconds, 2),
            number(c.memory_mib, 0),
        ]
        for c in costs
    ]
    for label, some in (("slope", costs), ("slope of the last two", costs[-2:])):
        values = [slope(some, value) for value in _columns(stages)]
        rows.append([label, "", *(number(v, 2) for v in values[:-2]), "", *(number(v, 2) for v in values[-2:])])
    return plain_table(headings, rows)


def _columns(stages: Sequence[str]) -> list[Callable[[SizeCost], float]]:
    """List what slopes are fitted to: every stage, their growing part, time on the wall, and memory."""
    each: list[Callable[[SizeCost], float]] = [lambda cost, name=name: cost.stage_seconds[name] for name in stages]
    return [*each, lambda cost: cost.growing_seconds, lambda cost: cost.wall_seconds, lambda cost: cost.memory_mib]


def scaling_as_json(costs: Sequence[SizeCost]) -> dict[str, object]:
    """Everything in plain containers."""
    stages = list(costs[0].stage_seconds)
    names = [*stages, "growing", "wall", "memory"]
    slopes = {name: slope(costs, value) for name, value in zip(names, _columns(stages), strict=True)}
    return {"sizes": [asdict(cost) for cost in costs], "slopes": slopes}
