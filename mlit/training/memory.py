"""Memory that a run takes on a CPU, worked out before it starts."""

import logging
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlit.errors import InputError
from mlit.fourier.trilinear import half_grid_voxels
from mlit.maps.fsc import maps_at_once
from mlit.project.project import Project
from mlit.training.series_step import BYTES_PER_FIT

LOG = logging.getLogger("mlit")
GIB = 2**30
CGROUPS, OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
CACHE_BYTES = 2 * GIB  # of tilt images that are kept between iterations
PROGRAM_BYTES = 0.8 * GIB  # libraries, and buffers of a fit that do not grow with the data
COPIES_OF_SERIES = 3  # as read, normalised, filtered
LEAST_COPIES_OF_SERIES = 2  # where what was read is given back before the images are filtered
COPIES_OF_MAP = {True: 33, False: 17}  # while half maps are made and judged, by whether both are worked on at once
COPIES_WITH_REFERENCES = {True: 46, False: 24}
LEAST_SHARE_OF_COPIES = 0.4  # that was ever measured to be there at one moment
COPIES_WHILE_DENOISED, COPIES_OF_DENOISED = 35, 17  # of the tight box: for all maps together, and for each
NETWORK_BYTES = 0.3 * GIB  # kernels, and features of patches and tiles


@dataclass(frozen=True)
class RunSize:
    """What the memory of a run depends on.

    Attributes
    ----------
    series_bytes
        Tilt images in use, of the series with most of them.
    all_series_bytes
        Those of all series.
    particle_images
        Particles times tilts, of the series with most of them.
    box
        Side of the maps in pixels.
    groups
        Groups of particles, each with sums of its own.
    pixel_size_angstrom
        Of the maps.
    tight_angstrom
        Side of the references' box.
    fits
        Whether anything is refined.
    network
        Whether references pass through a network.
    """

    series_bytes: int
    all_series_bytes: int
    particle_images: int
    box: int
    groups: int
    pixel_size_angstrom: float
    tight_angstrom: float
    fits: bool
    network: bool = False

    @classmethod
    def of(
        cls, project: Project, box: int, groups: int, pixel_size_angstrom: float, tight_angstrom: float, **parts: bool
    ) -> "RunSize":
        """Take from a project what it says; ``parts`` tell what the run does."""
        tilts = [int(series.use_tilt.sum()) for series in project.series]
        images = [4 * n * math.prod(s.image_size_px) for n, s in zip(tilts, project.series, strict=True)]
        particles = max(n * len(s.particle_index) for n, s in zip(tilts, project.series, strict=True))
        return cls(max(images), sum(images), particles, box, groups, pixel_size_angstrom, tight_angstrom, **parts)


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes in the most demanding moments of a run.

    Attributes
    ----------
    images
        Tilt images, those that are kept between iterations included.
    sums
        Fourier sums, which stay through an iteration.
    fit
        References and particle images during a fit.
    maps
        Making maps and references of the sums, when no fit runs.
    network
        Denoising references after that.
    least
        Less than this, over all, is never enough.
    """

    images: float
    sums: float
    fit: float
    maps: float
    network: float = 0.0
    least: float = 0.0

    @property
    def always(self) -> float:
        """What is there in every stage."""
        return PROGRAM_BYTES + (NETWORK_BYTES if self.network else 0.0) + self.images + self.sums

    @property
    def stages(self) -> dict[str, float]:
        """All that is there in each stage, at most."""
        own = {"fitting": self.fit, "making maps": self.maps, "denoising": self.network}
        return {name: self.always + size for name, size in own.items() if size}

    @property
    def peak(self) -> float:
        """All that is there at one time, at most."""
        return max(self.stages.values(), default=self.always)

    def __str__(self) -> str:
        """One line for a person."""
        stages = ", ".join(f"{name} {_gib(size)}" for name, size in self.stages.items())
        network = NETWORK_BYTES if self.network else 0.0
        parts = {"program": PROGRAM_BYTES + network, "tilt images": self.images, "map sums": self.sums}
        always = ", ".join(f"{name} {_gib(size)}" for name, size in parts.items())
        return f"at most {_gib(self.peak)} GiB: {stages}; in each of them {always}"


def _gib(size: float) -> str:
    return f"{size / GIB:.1f}"


def estimate_together(sizes: Sequence[RunSize]) -> MemoryEstimate:
    """Work out what a run with several species takes: maps are made one after the other, all else is there at once."""
    each = [estimate_memory(size) for size in sizes]
    return MemoryEstimate(
        images=max(one.images for one in each),
        sums=sum(one.sums for one in each),
        fit=sum(one.fit for one in each),
        maps=max(one.maps for one in each),
        network=max(one.network for one in each),
        least=max(one.least for one in each),
    )


def estimate_memory(size: RunSize) -> MemoryEstimate:
    """Work out what a run with one species takes, from above, and what it takes at least."""
    together = maps_at_once(size.box) is None
    copies = COPIES_WITH_REFERENCES if size.fits else COPIES_OF_MAP
    sums, one_map = 12 * size.groups * half_grid_voxels(size.box), 4 * size.box**3
    held = LEAST_COPIES_OF_SERIES * size.series_bytes + sums
    return MemoryEstimate(
        images=min(size.all_series_bytes, CACHE_BYTES) + COPIES_OF_SERIES * size.series_bytes,
        sums=sums,
        fit=_fit_bytes(size) if size.fits else 0.0,
        maps=copies[together] * one_map,
        network=_network_bytes(size) if size.network else 0.0,
        least=held + max(_table_bytes(size) if size.fits else 0.0, LEAST_SHARE_OF_COPIES * copies[together] * one_map),
    )


def _network_bytes(size: RunSize) -> float:
    """Count maps at the finest sampling, and half maps beside them."""
    tight = min(size.box, size.tight_angstrom / size.pixel_size_angstrom)
    return 4 * ((COPIES_WHILE_DENOISED + COPIES_OF_DENOISED * size.groups) * tight**3 + 5 * size.box**3)


def _fit_bytes(size: RunSize) -> float:
    """Count reference tables and premultiplied images, at the finest detail that the pixels hold."""
    pixels = size.tight_angstrom / size.pixel_size_angstrom
    images = 2 * 8 * size.particle_images * math.pi / 8 * pixels**2
    return _table_bytes(size) + min(images, 2 * BYTES_PER_FIT)


def _table_bytes(size: RunSize) -> float:
    """Count reference tables."""
    return 32 * size.groups * half_grid_voxels(2 * math.ceil(size.tight_angstrom / size.pixel_size_angstrom))


def memory_here() -> float:
    """Bytes that this process may use: those of the computer, or fewer where a job has a limit; infinity if unknown."""
    names = ("SC_PHYS_PAGES", "SC_PAGE_SIZE")
    known = hasattr(os, "sysconf") and all(name in os.sysconf_names for name in names)
    installed = math.prod(os.sysconf(name) for name in names) if known else math.inf
    return min([installed, *granted(CGROUPS, OWN_CGROUP)])


def granted(root: Path, own: Path) -> Iterator[float]:
    """Yield the limits of the control groups (version 2) that hold this process, such as a job of a cluster.

    Parameters
    ----------
    root
        Where the groups are mounted.
    own
        File that names the group of this process.
    """
    lines = own.read_text(encoding="ascii").splitlines() if own.is_file() else []
    name = next((line.removeprefix("0::").strip("/") for line in lines if line.startswith("0::")), "")
    for folder in (root / name, *(root / name).parents):
        limit = folder / "memory.max"
        text = limit.read_text(encoding="ascii").strip() if limit.is_file() else ""
        if text.isdecimal():
            yield float(text)
        if folder == root:
            return


def check_memory(estimate: MemoryEstimate, allowed_gib: float | None) -> None:
    """Log what a run takes in each stage; refuse one that cannot fit, and warn of one that may not.

    Parameters
    ----------
    estimate
        What it takes.
    allowed_gib
        What it may take; None for all that is here.

    Raises
    ------
    InputError
        If even the least is more than there is.
    """
    here = memory_here() if allowed_gib is None else allowed_gib * GIB
    LOG.info("memory: %s", estimate)
    if estimate.least > here:
        raise InputError(
            f"the run needs at least {_gib(estimate.least)} GiB of memory, and has {_gib(here)}: give a "
            "coarser species.pixel_size_angstrom, a smaller species.box or folds=1, or a larger "
            "memory_gib to try it all the same"
        )
    if estimate.peak > here:
        LOG.warning(
            "%s GiB of memory may be too little; a coarser species.pixel_size_angstrom makes maps and fits smaller",
            _gib(here),
        )
