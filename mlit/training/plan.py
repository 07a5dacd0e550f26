"""What a refinement would do, said before it starts."""

import math
from collections.abc import Sequence

from omegaconf import DictConfig

from mlit.parallel import cores
from mlit.project.project import Project
from mlit.training.assembly import finest_detail, make_iterations, make_map_settings, make_species, size_of
from mlit.training.data import STORAGE
from mlit.training.memory import estimate_memory
from mlit.training.memory_here import free_gpu_memory
from mlit.training.memory_plan import plan_memory, processes_here, where
from mlit.training.schedule import Iteration
from mlit.training.series_setup import assign_groups

SECONDS_PER_IMAGE = 2.3e-3  # of one core in one iteration: what does not depend on how fine the fit is
SECONDS_PER_PIXEL = 2.2e-6  # and for each Fourier pixel of the image; from refinements of 5000 images
UNCERTAINTY = 3.0  # of both, between computers and projects


def plan_lines(project: Project, cfg: DictConfig) -> list[str]:
    """Describe the run that a config asks for: data, maps, iterations, memory and time.

    Parameters
    ----------
    project
        What was read.
    cfg
        Of a refinement.

    Raises
    ------
    InputError
        If the run would be refused.
    """
    species = make_species(cfg)
    species.check_against(project)
    _, folds = assign_groups(project, cfg.seed, cfg.folds)
    maps = make_map_settings(project, cfg, species, folds)
    enabled = [
        name for name, options in cfg.model.items() if isinstance(options, DictConfig) and options.get("enabled")
    ]
    iterations = make_iterations(cfg, [str(name) for name in enabled])
    finest = finest_detail(project, maps)
    storage, network = STORAGE[cfg.images.storage], "network" in cfg.denoiser
    size = size_of(project, maps, storage, fits=bool(iterations), network=network)
    gpu_bytes = free_gpu_memory(cfg.trainer)
    held = plan_memory([size], cfg.memory_gib, processes_here(cfg.trainer), gpu_bytes)
    return [
        _data_line(project),
        f"maps of {maps.box} px of {maps.pixel_size_angstrom:g} Å, {folds} groups in each half set, "
        f"detail to {finest:.3g} Å at most",
        *(_iteration_line(number, iteration) for number, iteration in enumerate(iterations, 1)),
        f"memory: {estimate_memory(size, held, where(gpu_bytes))}",
        _time_line(project, iterations, maps.references.tight_angstrom, finest),
    ]


def _data_line(project: Project) -> str:
    used = sum(int(series.use_tilt.sum()) for series in project.series)
    tilts = sum(len(series.use_tilt) for series in project.series)
    rows = [row for series in project.series for row in series.particle_index.tolist()]
    counted = int((project.particles.weight[rows] > 0).sum())
    return f"{len(project.series)} series, {counted} particles, {used} of {tilts} tilts"


def _iteration_line(number: int, iteration: Iteration) -> str:
    detail = iteration.resolution_angstrom
    where = "as far as the half maps agree" if detail is None else f"to {detail:g} Å"
    return f"iteration {number}: {', '.join(iteration.blocks) or 'nothing'}, {where}"


def _time_line(project: Project, iterations: Sequence[Iteration], tight: float, finest: float) -> str:
    """Estimate the time from fits that stay coarse to fits that see all that the pixels hold."""
    images = sum(int(series.use_tilt.sum()) * len(series.particle_index) for series in project.series)

    def seconds(detail: float) -> float:
        pixels = math.pi / 2 * (tight / detail) ** 2
        return images * (SECONDS_PER_IMAGE + SECONDS_PER_PIXEL * pixels) * len(iterations)

    reconstruction = images * SECONDS_PER_IMAGE
    least = (reconstruction + seconds(4 * finest)) / cores() / UNCERTAINTY
    most = (reconstruction + seconds(finest)) / cores() * UNCERTAINTY
    return f"time on the {cores()} cores here: some {_span(least)} to {_span(most)} for {images} images of particles"


def _span(seconds: float) -> str:
    """Write a time roughly."""
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(1.0, seconds):.0f} seconds"
