"""Memory that a run takes of a computer and of a GPU, worked out before it starts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from mlit.fourier.trilinear import half_grid_voxels
from mlit.likelihood.tilt_images import even_fast_size
from mlit.maps.fsc import maps_at_once
from mlit.project.project import Project
from mlit.training.fit_batches import USUAL_BYTES

GIB = 2**30
PROGRAM_BYTES = 0.8 * GIB  # libraries, and buffers of a fit that do not grow with the data
GPU_PROGRAM_BYTES = 3 * GIB  # libraries, and what the parts of a pass take that keep a GPU busy
READING_COPIES = 2  # of the next series: as read, and normalised
PINNED_COPIES = 4  # of two series, each rounded up to a power of two
LEAST_COPIES_OF_SERIES = 2  # where what was read is given back before the images are filtered
COPIES_OF_MAP = {True: 33, False: 17}  # while half maps are made and judged, by whether both are worked on at once
COPIES_WITH_REFERENCES = {True: 46, False: 24}
LEAST_SHARE_OF_COPIES = 0.4  # that was ever measured to be there at one moment
COPIES_WHILE_DENOISED, COPIES_OF_DENOISED = 35, 17  # of the tight box: for all maps together, and for each
NETWORK_BYTES = 0.3 * GIB  # kernels, and features of patches and tiles


class Place(Enum):
    """Where memory is."""

    COMPUTER = "a computer that does all"
    HOST = "a computer that reads images for a GPU, and writes maps"
    GPU = "a GPU"


@dataclass(frozen=True)
class Holding:
    """How much of its images a run holds at a time. More makes it faster, and changes its results by rounding at most.

    Attributes
    ----------
    cache_bytes
        Tilt images that are kept between iterations.
    batch_bytes
        Premultiplied images in a batch of a fit, of which two are held.
    ahead
        Whether the next series is read while one is fitted.
    pinned
        Whether images wait in memory from which a GPU reads fast.
    """

    cache_bytes: int = 2 * GIB
    batch_bytes: int = USUAL_BYTES
    ahead: bool = True
    pinned: bool = False

    def __str__(self) -> str:
        """One line for a person."""
        series = "two series of them" if self.ahead else "one series"
        series += ", pinned," if self.pinned else ""
        return (
            f"{in_gib(self.cache_bytes)} GiB of tilt images between iterations, {series} while one is fitted, "
            f"{in_gib(self.batch_bytes)} GiB of particle images in a batch"
        )


USUAL = Holding()


@dataclass(frozen=True)
class RunSize:
    """What the memory of a run depends on.

    Attributes
    ----------
    series_bytes
        Tilt images of the largest series.
    padded_bytes
        The same padded to squares.
    all_series_bytes
        Tilt images of all series, as they are kept.
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
    padded_bytes: int
    all_series_bytes: int
    particle_images: int
    box: int
    groups: int
    pixel_size_angstrom: float
    tight_angstrom: float
    fits: bool
    network: bool = False

    @property
    def premultiplied_bytes(self) -> float:
        """Premultiplied images of the series with most of them, at the finest detail that the pixels hold."""
        return 2 * 8 * self.particle_images * math.pi / 8 * (self.tight_angstrom / self.pixel_size_angstrom) ** 2

    @classmethod
    def of(
        cls, project: Project, box: int, groups: int, pixel_size_angstrom: float, tight_angstrom: float, **parts: bool
    ) -> "RunSize":
        """Take from a project what it says; ``parts`` tell what the run does."""
        images = [4 * len(s.use_tilt) * math.prod(s.image_size_px) for s in project.series]
        padded = max(4 * len(s.use_tilt) * even_fast_size(max(s.image_size_px)) ** 2 for s in project.series)
        particles = max(int(s.use_tilt.sum()) * len(s.particle_index) for s in project.series)
        sizes = (max(images), padded, sum(images))
        return cls(*sizes, particles, box, groups, pixel_size_angstrom, tight_angstrom, **parts)


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes in the most demanding moments of a run.

    Attributes
    ----------
    program
        Libraries, and buffers that do not grow with the data.
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

    program: float
    images: float
    sums: float
    fit: float
    maps: float
    network: float = 0.0
    least: float = 0.0

    @property
    def always(self) -> float:
        """What is there in every stage."""
        return self.program + self.images + self.sums

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
        stages = ", ".join(f"{name} {in_gib(size)}" for name, size in self.stages.items())
        parts = {"program": self.program, "tilt images": self.images, "map sums": self.sums}
        always = ", ".join(f"{name} {in_gib(size)}" for name, size in parts.items())
        least = f"at least {in_gib(self.least)} GiB, " if self.least else ""
        return f"{least}at most {in_gib(self.peak)} GiB: {stages}; in each of them {always}"


def in_gib(size: float) -> str:
    """Write a number of bytes."""
    return f"{size / GIB:.1f}"


def estimate_together(sizes: Sequence[RunSize], held: Holding = USUAL, place: Place = Place.COMPUTER) -> MemoryEstimate:
    """Work out what a run with several species takes: maps are made one after the other, all else is there at once."""
    own = replace(held, batch_bytes=held.batch_bytes // len(sizes))
    each = [estimate_memory(size, own, place) for size in sizes]
    filtered = 0 if place is Place.HOST else (len(sizes) - 1) * max(size.padded_bytes for size in sizes)
    return MemoryEstimate(
        program=max(one.program for one in each),
        images=max(one.images for one in each) + filtered,
        sums=sum(one.sums for one in each),
        fit=sum(one.fit for one in each),
        maps=max(one.maps for one in each),
        network=max(one.network for one in each),
        least=max(one.least for one in each),
    )


def estimate_memory(size: RunSize, held: Holding = USUAL, place: Place = Place.COMPUTER) -> MemoryEstimate:
    """Work out what a run with one species takes somewhere, from above, and what it takes at least.

    Beside a GPU the computer holds images that come and go, sums that are saved, and maps when they are written.
    """
    together = maps_at_once(size.box) is None
    maps = 4 * size.box**3 * (COPIES_WITH_REFERENCES if size.fits else COPIES_OF_MAP)[together]
    sums, table = 12 * size.groups * half_grid_voxels(size.box), _table_bytes(size) if size.fits else 0.0
    batches = min(size.premultiplied_bytes, 2 * held.batch_bytes) if size.fits else 0.0
    at_work = 2 * size.padded_bytes  # transformed, filtered
    coming = READING_COPIES * size.series_bytes if held.ahead else 0
    kept = min(size.all_series_bytes, held.cache_bytes) + (PINNED_COPIES * size.series_bytes if held.pinned else 0)
    least = LEAST_COPIES_OF_SERIES * size.series_bytes
    working_least = least + sums + max(table, LEAST_SHARE_OF_COPIES * maps)
    network, program = _network_bytes(size) if size.network else 0.0, PROGRAM_BYTES
    if place is Place.HOST:
        images = kept + READING_COPIES * size.series_bytes + (size.series_bytes if held.ahead else 0)
        return MemoryEstimate(program=program, images=images, sums=sums, fit=0.0, maps=maps, least=least)
    if place is Place.GPU:
        program, kept, coming = GPU_PROGRAM_BYTES, 0, 0
    return MemoryEstimate(
        program=program + (NETWORK_BYTES if size.network else 0.0),
        images=kept + coming + size.series_bytes + at_work,
        sums=sums,
        fit=table + batches,
        maps=maps,
        network=network,
        least=working_least,
    )


def _network_bytes(size: RunSize) -> float:
    """Count maps at the finest sampling, and half maps beside them."""
    tight = min(size.box, size.tight_angstrom / size.pixel_size_angstrom)
    return 4 * ((COPIES_WHILE_DENOISED + COPIES_OF_DENOISED * size.groups) * tight**3 + 5 * size.box**3)


def _table_bytes(size: RunSize) -> float:
    """Count reference tables."""
    return 32 * size.groups * half_grid_voxels(2 * math.ceil(size.tight_angstrom / size.pixel_size_angstrom))
