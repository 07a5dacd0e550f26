"""Memory of a run shared out over what it may hold, before anything is read."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlit.devices import cuda_indices
from mlit.errors import InputError
from mlit.training.memory import GIB, USUAL, Holding, MemoryEstimate, Place, RunSize, estimate_together, in_gib
from mlit.training.memory_here import free_memory, memory_here

LOG = logging.getLogger("mlit")
SHARE_TAKEN = 0.8  # of the free memory, where no number is given: the rest is for other programs, and for files
LEAST_BATCH_BYTES = 1 << 28  # smaller batches are not planned, even where little is free


def processes_here(trainer: Mapping[str, Any]) -> int:
    """Return the number of processes that a run starts on this computer, given the options of its trainer."""
    on_gpus = len(cuda_indices(trainer))
    if on_gpus:
        return on_gpus
    return max(1, trainer["devices"]) if isinstance(trainer["devices"], int) else 1


def plan_memory(
    sizes: Sequence[RunSize], allowed_gib: float | None, processes: int = 1, gpu_bytes: float | None = None
) -> Holding:
    """Say how much of its images a run holds at a time.

    First come batches of the usual size, then reading ahead, then all particle images of a series in one batch, then
    tilt images that are kept between iterations.

    Parameters
    ----------
    sizes
        Of each species.
    allowed_gib
        What the run may take on this computer; None for most of what is free.
    processes
        How many share it.
    gpu_bytes
        What is free on the GPU of each process, which holds the batches then; None for a run without.
    """
    budget = (SHARE_TAKEN * free_memory() if allowed_gib is None else allowed_gib * GIB) / processes
    if gpu_bytes is not None:
        return _plan_beside_gpu(sizes, budget, SHARE_TAKEN * gpu_bytes)
    return USUAL if math.isinf(budget) else _plan_alone(sizes, budget)


def where(gpu_bytes: float | None) -> Place:
    """Say what the computer of a run does, given what is free on its GPU, or None where it uses none."""
    return Place.COMPUTER if gpu_bytes is None else Place.HOST


def _plan_alone(sizes: Sequence[RunSize], budget: float) -> Holding:
    """Share out the memory of a computer that does all."""
    held = Holding(cache_bytes=0, batch_bytes=0, ahead=False)
    held = replace(held, batch_bytes=min(USUAL.batch_bytes, _batch_bytes(sizes, held, budget)))
    held = _with("ahead", sizes, held, budget, Place.COMPUTER)
    held = replace(held, batch_bytes=_batch_bytes(sizes, held, budget))
    return _with_cache(sizes, held, budget, Place.COMPUTER)


def _plan_beside_gpu(sizes: Sequence[RunSize], budget: float, gpu_budget: float) -> Holding:
    """Share out the memory of a computer and of its GPU, which holds the batches."""
    held = Holding(cache_bytes=0, batch_bytes=0, ahead=False)
    held = replace(held, batch_bytes=_batch_bytes(sizes, held, gpu_budget, Place.GPU))
    for name in ("ahead", "pinned"):
        held = _with(name, sizes, held, budget, Place.HOST)
    return _with_cache(sizes, held, budget, Place.HOST)


def _with(name: str, sizes: Sequence[RunSize], held: Holding, budget: float, place: Place) -> Holding:
    """Do one thing more if it fits in."""
    more = replace(held, **{name: True})
    return more if estimate_together(sizes, more, place).peak <= budget else held


def _with_cache(sizes: Sequence[RunSize], held: Holding, budget: float, place: Place) -> Holding:
    """Keep as many tilt images as fit in."""
    kept = min(max(size.all_series_bytes for size in sizes), budget - estimate_together(sizes, held, place).peak)
    return replace(held, cache_bytes=max(0, int(kept)))


def _batch_bytes(sizes: Sequence[RunSize], held: Holding, budget: float, place: Place = Place.COMPUTER) -> int:
    """Find the largest batches that fit in: all images of a series, or half of what is left, since two are held."""
    without = estimate_together(sizes, replace(held, batch_bytes=0), place)
    left = budget - without.always - without.fit
    images = [size.premultiplied_bytes for size in sizes]
    whole = len(images) * max(images)
    return max(LEAST_BATCH_BYTES, math.ceil(whole) if sum(images) <= left else int(min(whole, left / 2)))


def check_memory(estimate: MemoryEstimate, allowed_gib: float | None, processes: int = 1) -> None:
    """Log what a run takes in each stage; refuse one that cannot fit, and warn of one that may not.

    Parameters
    ----------
    estimate
        What each of its processes takes.
    allowed_gib
        What it may take on this computer; None for all that is here.
    processes
        How many share it. Only the first of them makes maps.

    Raises
    ------
    InputError
        If even the least is more than there is.
    """
    here = memory_here() if allowed_gib is None else allowed_gib * GIB
    LOG.info("memory%s: %s", f" of each of {processes} processes" if processes > 1 else "", estimate)
    if estimate.least > here:
        raise InputError(
            f"the run needs at least {in_gib(estimate.least)} GiB of memory, and has {in_gib(here)}: give a "
            "coarser species.pixel_size_angstrom, a smaller species.box or folds=1, or a larger "
            "memory_gib to try it all the same"
        )
    if estimate.peak + (processes - 1) * (estimate.always + estimate.fit) > here:
        LOG.warning(
            "%s GiB of memory may be too little; a coarser species.pixel_size_angstrom makes maps and fits smaller",
            in_gib(here),
        )


def check_gpu_memory(estimate: MemoryEstimate, free_bytes: float) -> None:
    """Log what a run takes of a GPU; refuse one that cannot fit.

    Parameters
    ----------
    estimate
        What it takes there.
    free_bytes
        What is free there.

    Raises
    ------
    InputError
        If even the least is more than that.
    """
    LOG.info("memory of the GPU: %s", estimate)
    if estimate.least > free_bytes:
        raise InputError(
            f"the run needs at least {in_gib(estimate.least)} GiB of a GPU's memory, {in_gib(free_bytes)} are free: "
            "give a coarser species.pixel_size_angstrom, a smaller species.box or folds=1, or trainer=cpu"
        )
