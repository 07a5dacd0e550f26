"""One refinement iteration of one project, timed; run as a process of its own so that peak memory is honest.

    python -m mlit.benchmark.one_iteration RESOLUTION_ANGSTROM CONFIG_WORD...

Prints a :class:`Cost` as JSON.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from mlit.benchmark.data import refinement_config
from mlit.benchmark.prepared import Prepared, prepare
from mlit.benchmark.recording import RecordingSolver
from mlit.fourier.insertion import FourierSums
from mlit.likelihood.tilt_images import TiltImages
from mlit.maps.references import half_maps, reference_maps
from mlit.parallel import one_thread_each
from mlit.training.data import TiltSeriesDataset
from mlit.training.series_step import add_to_maps, fit

Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """What an iteration takes.

    Attributes
    ----------
    particles, tilts
        Size of the series.
    passes
        Passes over the images in the fit.
    stage_seconds
        Seconds of all cores together in each stage.
    wall_seconds
        Seconds on the wall in all stages.
    peak_mib, base_mib
        Most memory that the process held, and what it held with all modules imported.
    """

    particles: int
    tilts: int
    passes: int
    stage_seconds: dict[str, float]
    wall_seconds: float
    peak_mib: float
    base_mib: float


def measure(words: Sequence[str], resolution_angstrom: float) -> Cost:
    """Run the first iteration of a project with one series.

    Parameters
    ----------
    words
        Config words that name it.
    resolution_angstrom
        Finest detail in the fit: given, since the schedule's own depends on the number of particles.
    """
    base = peak_memory_mib()
    with tempfile.TemporaryDirectory() as output:
        prepared = prepare(refinement_config(words, Path(output)), 0, resolution_angstrom)
    clock, started = Stages(), time.perf_counter()
    with one_thread_each():
        images = clock.time("images", lambda: _fresh(prepared).images(prepared.module.names[0]))
        passes = _fit(prepared, images, clock)
        _rebuild(prepared, images, clock)
    wall_seconds = time.perf_counter() - started
    model = prepared.module.model(prepared.module.names[0])
    particles, tilts = len(model.poses.raw), model.start.geometry.tilts
    return Cost(particles, tilts, passes, clock.seconds, wall_seconds, peak_memory_mib(), base)


class Stages:
    """Seconds of all cores together, which other programs lengthen less than those on the wall, by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, stage: str, work: Callable[[], Result]) -> Result:
        """Do some work and note how long it took."""
        before = time.process_time()
        result = work()
        self.seconds[stage] = time.process_time() - before
        return result


def peak_memory_mib() -> float:
    """Most memory that this process has held so far.

    ``getrusage`` of a Linux process counts what its parent held too.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _fit(prepared: Prepared, images: TiltImages, clock: Stages) -> int:
    """Fit the series; returns the passes."""
    module = prepared.module
    model, context = module.model(module.names[0]), module.contexts[module.names[0]]
    model.activate(prepared.blocks)
    targets = clock.time("reference table", prepared.targets)
    solver = RecordingSolver(module.solver)
    before = time.process_time()
    fit(model, images, context, targets, solver)
    after = time.process_time()
    assert solver.recorded is not None
    record = solver.recorded.record
    clock.seconds["premultiply"] = record.cpu_started - before
    clock.seconds["evaluate"] = record.pass_cpu_seconds
    clock.seconds["equations"] = record.equation_cpu_seconds
    clock.seconds["steps"] = record.cpu_seconds - record.pass_cpu_seconds - record.equation_cpu_seconds
    clock.seconds["posterior"] = after - record.cpu_started - record.cpu_seconds
    return len(record.values)


def _rebuild(prepared: Prepared, images: TiltImages, clock: Stages) -> None:
    """Add the series to the sums and make the next references."""
    module = prepared.module
    name = module.names[0]
    model, context, record = module.model(name), module.contexts[name], module.records[name]
    weight = record.credence.image_weight(context.false_fraction)
    made = []
    for molecule in module.molecules:
        maps = molecule.maps.settings
        resolution = molecule.schedule.map_resolution(1, prepared.resolution_angstrom)
        sums = FourierSums.zeros(2 * maps.folds, maps.box, maps.pixel_size_angstrom, resolution)
        made.append((maps, sums, resolution))

    def insertion() -> None:
        for species, (maps, sums, _) in enumerate(made):
            length = maps.box * maps.pixel_size_angstrom
            add_to_maps(sums, model, images, context, species, context.amplitude_prior, weight, length)

    clock.time("insertion", insertion)

    def references() -> None:
        for maps, sums, resolution in made:
            halves = half_maps(sums, maps.symmetry, maps.references, None, resolution, maps.seed)
            reference_maps(sums, halves, maps.symmetry, maps.references)

    clock.time("references", references)


def _fresh(prepared: Prepared) -> Prepared:
    """Forget the images that were read already."""
    old = prepared.dataset
    return replace(prepared, dataset=TiltSeriesDataset(old.projects, old.diameter_angstrom, 0))


if __name__ == "__main__":
    print(json.dumps(asdict(measure(sys.argv[2:], float(sys.argv[1])))))
