"""Cost of an iteration against particles, tilts, series and the box."""

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
    """Size of a project.

    Attributes
    ----------
    particles, tilts
        Of each series.
    series
        Number of series.
    diameter_angstrom
        Sets the boxes; None takes that of the molecule.
    """

    particles: int
    tilts: int
    series: int = 1
    diameter_angstrom: float | None = None

    def __str__(self) -> str:
        """As it is typed on the command line."""
        series = f"x{self.series}" if self.series > 1 else ""
        diameter = f"@{self.diameter_angstrom:g}" if self.diameter_angstrom is not None else ""
        return f"{self.particles}x{self.tilts}{series}{diameter}"


@dataclass(frozen=True)
class SizeCost:
    """Medians over the repeats at one size.

    Attributes
    ----------
    size
        The size.
    images
        Particle images that took part.
    box
        Side of the maps in pixels.
    passes
        Passes over the images in the fits.
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
    images: int
    box: int
    passes: float
    stage_seconds: dict[str, float]
    wall_seconds: float
    growing_seconds: float
    memory_mib: float

    @property
    def ms_an_image(self) -> float:
        """Milliseconds of all cores together for each particle image, in the stages that grow."""
        return 1e3 * self.growing_seconds / self.images


def measure_sizes(
    sizes: Sequence[Size],
    repeats: int,
    resolution_angstrom: float,
    words: Sequence[str],
    folder: Path,
    width: int,
    report: Callable[[str], None],
) -> list[SizeCost]:
    """Simulate a project of every size and run an iteration of each, every time in a process of its own.

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
    projects = {size: _project(size, folder, width) for size in sizes}
    costs: dict[Size, list[Cost]] = {size: [] for size in sizes}
    for _ in range(repeats):
        for size in sizes:
            cost = _in_a_process([*projects[size], *words], resolution_angstrom)
            costs[size].append(cost)
            report(f"{size}: {sum(cost.stage_seconds.values()):.2f} core s")
    return [_median(size, found) for size, found in costs.items()]


def _project(size: Size, folder: Path, width: int) -> list[str]:
    """Config words of the project of a size, which is simulated unless another box has it already."""
    here = folder / f"{size.particles}_{size.tilts}_{size.series}"
    if (here / "words.json").is_file():
        words = json.loads((here / "words.json").read_text(encoding="utf-8"))
    else:
        words = simulated_project(here, size.particles, size.tilts, width, series=size.series)
        (here / "words.json").write_text(json.dumps(words), encoding="utf-8")
    return words if size.diameter_angstrom is None else [*words[:-1], f"species.diameter={size.diameter_angstrom}"]


def _in_a_process(words: Sequence[str], resolution_angstrom: float) -> Cost:
    command = [sys.executable, "-m", one_iteration.__name__, str(resolution_angstrom), *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def _median(size: Size, costs: Sequence[Cost]) -> SizeCost:
    stages = {name: statistics.median(c.stage_seconds[name] for c in costs) for name in costs[0].stage_seconds}
    growing = [sum(s for name, s in c.stage_seconds.items() if name not in CONSTANT) for c in costs]
    return SizeCost(
        size,
        costs[0].images,
        costs[0].box,
        statistics.median(c.passes for c in costs),
        stages,
        statistics.median(c.wall_seconds for c in costs),
        statistics.median(growing),
        statistics.median(c.peak_mib - c.base_mib for c in costs),
    )


def slope(costs: Sequence[SizeCost], value: Callable[[SizeCost], float], against: Callable[[SizeCost], float]) -> float:
    """Fit ``log(value) = slope * log(against) + constant``: 1 where cost is proportional to size."""
    x = [math.log(against(cost)) for cost in costs]
    y = [math.log(max(value(cost), 1e-9)) for cost in costs]
    return statistics.linear_regression(x, y).slope


def measure_of(costs: Sequence[SizeCost]) -> tuple[str, Callable[[SizeCost], float]]:
    """Say what makes one of these sizes larger than the other: the pixels of a box, or the images."""
    if len({cost.box for cost in costs}) > 1:
        return "box²", lambda cost: cost.box**2
    return "images", lambda cost: cost.images


def spread(costs: Sequence[SizeCost]) -> float:
    """How much more an image costs at the size where it costs most than where it costs least."""
    each = [cost.ms_an_image for cost in costs]
    return max(each) / min(each) - 1


def overhead(costs: Sequence[SizeCost]) -> tuple[float, float]:
    """Take the growing stages as a constant for each series and a part for each image; return both in seconds."""
    x = [cost.images / cost.size.series for cost in costs]
    line = statistics.linear_regression(x, [cost.growing_seconds / cost.size.series for cost in costs])
    return line.intercept, line.slope


def scaling_table(costs: Sequence[SizeCost]) -> str:
    """Lay out seconds of each stage, with slopes over all sizes and between the two largest."""
    stages = list(costs[0].stage_seconds)
    headings = ["particles x tilts", "images", "box", "passes", *stages, "growing", "ms an image", "all, wall", "MiB"]
    rows = [
        [
            str(c.size),
            str(c.images),
            str(c.box),
            number(c.passes, 1),
            *(number(c.stage_seconds[name], 3) for name in stages),
            number(c.growing_seconds, 3),
            number(c.ms_an_image, 2),
            number(c.wall_seconds, 2),
            number(c.memory_mib, 0),
        ]
        for c in costs
    ]
    name, against = measure_of(costs)
    for label, some in ((f"slope by {name}", costs), ("of the last two", costs[-2:])):
        values = [slope(some, value, against) for value in _columns(stages)]
        rows.append([label, "", "", "", *(number(v, 2) for v in values[:-2]), "", *(number(v, 2) for v in values[-2:])])
    return "\n".join([plain_table(headings, rows), _conclusion(costs)])


def _conclusion(costs: Sequence[SizeCost]) -> str:
    largest, least = max(c.images for c in costs), min(c.images for c in costs)
    if len({cost.box for cost in costs}) > 1:
        return "the pixels of an image grow with box²"
    same = f"an image costs the same within {100 * spread(costs):.0f} % over a {largest / least:.0f}× range"
    if len({cost.size.series for cost in costs}) > 1:
        return same
    constant, each = overhead(costs)
    return f"{same}; {constant:.2f} s a series and {1e3 * each:.3f} ms an image"


def _columns(stages: Sequence[str]) -> list[Callable[[SizeCost], float]]:
    """List what slopes are fitted to: every stage, their growing part, time on the wall, and memory."""
    each: list[Callable[[SizeCost], float]] = [lambda cost, name=name: cost.stage_seconds[name] for name in stages]
    return [*each, lambda cost: cost.growing_seconds, lambda cost: cost.wall_seconds, lambda cost: cost.memory_mib]


def scaling_as_json(costs: Sequence[SizeCost]) -> dict[str, object]:
    """Everything in plain containers."""
    stages = list(costs[0].stage_seconds)
    names = [*stages, "growing", "wall", "memory"]
    against, size = measure_of(costs)
    slopes = {name: slope(costs, value, size) for name, value in zip(names, _columns(stages), strict=True)}
    return {"sizes": [asdict(cost) for cost in costs], "against": against, "slopes": slopes, "spread": spread(costs)}
