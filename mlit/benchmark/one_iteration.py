"""One refinement iteration of one project, timed; run as a process of its own so that peak memory is honest.

    python -m mlit.benchmark.one_iteration RESOLUTION_ANGSTROM CONFIG_WORD...

Prints a :class:`Cost` as JSON.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch

from mlit.benchmark.clock import clock_of, device_of, peak_memory_mib
from mlit.benchmark.data import refinement_config
from mlit.benchmark.prepared import Prepared, prepare
from mlit.benchmark.recording import RecordingSolver
from mlit.devices import single_precision
from mlit.fourier.insertion import FourierSums
from mlit.likelihood.tilt_images import TiltImages
from mlit.maps.references import half_maps, reference_maps
from mlit.parallel import one_thread_each, reuse_memory
from mlit.training.data import TiltSeriesDataset
from mlit.training.series_step import Target, add_to_maps, fit

Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """What an iteration takes.

    Attributes
    ----------
    images
        Particle images that took part in the fits of all series.
    box
        Side of the maps in pixels.
    passes
        Passes over these images in the fits, in the mean.
    stage_seconds
        Seconds of each stage, by :func:`mlit.benchmark.clock.clock_of`.
    wall_seconds
        Seconds on the wall in all stages.
    peak_mib, base_mib
        Most memory that the process held, and what it held with all modules imported.
    """

    images: int
    box: int
    passes: float
    stage_seconds: dict[str, float]
    wall_seconds: float
    peak_mib: float
    base_mib: float


def measure(words: Sequence[str], resolution_angstrom: float) -> Cost:
    """Run the first iteration of a project twice, and measure the second time.

    What happens once in a process, such as the loading of libraries, is no part of what an iteration costs.

    Parameters
    ----------
    words
        Config words that name the project.
    resolution_angstrom
        Finest detail in the fits: given, since the schedule's own depends on the number of particles.
    """
    with tempfile.TemporaryDirectory() as output:
        cfg = refinement_config(words, Path(output))
        device = device_of(cfg.trainer)
        base = peak_memory_mib(device)
        prepared = prepare(cfg, 0, resolution_angstrom)
    start = {name: value.clone() for name, value in prepared.module.state_dict().items()}
    with one_thread_each() if device.type == "cpu" else single_precision():
        _iterate(prepared, Stages(device))
        prepared.module.load_state_dict(start)
        clock, started = Stages(device), time.perf_counter()
        images, passes = _iterate(prepared, clock)
        wall_seconds = time.perf_counter() - started
    box = prepared.module.molecules[0].maps.settings.box
    return Cost(images, box, passes, clock.seconds, wall_seconds, peak_memory_mib(device), base)


def _iterate(prepared: Prepared, clock: "Stages") -> tuple[int, float]:
    """Fit every series and make the next references; returns images in the fits, and passes over them."""
    module, sums, device, finest = prepared.module, [], clock.device, prepared.resolution_angstrom
    for molecule in module.molecules:
        maps, resolution = molecule.maps.settings, molecule.schedule.map_resolution(1, prepared.resolution_angstrom)
        sums.append(FourierSums.zeros(2 * maps.folds, maps.box, maps.pixel_size_angstrom, resolution, device))
        finest = min(finest, sums[-1].resolution_angstrom)
    targets, dataset = clock.time("reference table", lambda: prepared.targets(device)), _fresh(prepared).dataset
    seen = passed = 0
    for number, name in enumerate(module.names):
        images = clock.time("images", lambda number=number: _images(dataset, number).to(device).transformed(finest))
        found, passes = _fit(prepared, name, images, targets, clock)
        seen, passed = seen + found, passed + found * passes
        clock.time("insertion", lambda name=name, images=images: _insert(prepared, name, images, sums))
    clock.time("references", lambda: _make_references(prepared, sums))
    return seen, passed / max(seen, 1)


class Stages:
    """Seconds by stage."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.now = device, clock_of(device)
        self.seconds: dict[str, float] = {}

    def time(self, stage: str, work: Callable[[], Result]) -> Result:
        """Do some work and note how long it took."""
        before = self.now()
        result = work()
        self.add(stage, self.now() - before)
        return result

    def add(self, stage: str, seconds: float) -> None:
        """Count time of a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


def _fit(
    prepared: Prepared, name: str, images: TiltImages, targets: list[Target | None], clock: Stages
) -> tuple[int, int]:
    """Fit one series; returns images that took part, and passes over them."""
    module = prepared.module
    model, context = module.model(name), module.contexts[name]
    model.activate(prepared.blocks)
    solver = RecordingSolver(module.solver, now=clock.now)
    before = clock.now()
    result = fit(model, images, context, targets, solver)
    after = clock.now()
    assert solver.recorded is not None
    record = solver.recorded.record
    clock.add("premultiply", record.cpu_started - before)
    clock.add("evaluate", record.pass_cpu_seconds)
    clock.add("equations", record.equation_cpu_seconds)
    clock.add("steps", record.cpu_seconds - record.pass_cpu_seconds - record.equation_cpu_seconds)
    clock.add("posterior", after - record.cpu_started - record.cpu_seconds)
    return int(result.seen.sum()), len(record.values)


def _insert(prepared: Prepared, name: str, images: TiltImages, sums: Sequence[FourierSums]) -> None:
    """Add a series to the sums of every species."""
    module = prepared.module
    model, context = module.model(name), module.contexts[name]
    weight = module.records[name].credence.image_weight(context.false_fraction)
    for species, (molecule, own) in enumerate(zip(module.molecules, sums, strict=True)):
        length = molecule.maps.settings.box * molecule.maps.settings.pixel_size_angstrom
        add_to_maps(own, model, images, context, species, context.amplitude_prior, weight, length)


def _make_references(prepared: Prepared, sums: Sequence[FourierSums]) -> None:
    for molecule, own in zip(prepared.module.molecules, sums, strict=True):
        maps = molecule.maps.settings
        halves = half_maps(own, maps.symmetry, maps.references, None, own.resolution_angstrom, maps.seed)
        reference_maps(own, halves, maps.symmetry, maps.references)


def _images(dataset: TiltSeriesDataset, number: int) -> TiltImages:
    """Read the images of a series."""
    images = dataset[number].images
    assert images is not None
    return images


def _fresh(prepared: Prepared) -> Prepared:
    """Forget the images that were read already."""
    old = prepared.dataset
    return replace(prepared, dataset=TiltSeriesDataset(old.projects, old.diameter_angstrom, 0))


if __name__ == "__main__":
    reuse_memory()
    print(json.dumps(asdict(measure(sys.argv[2:], float(sys.argv[1])))))
