"""Time and memory of a data set on GPUs, worked out from a measurement and the limits of the GPU.

An estimate, not a measurement. Each stage on the GPU is taken to be bound by memory: it moves a number of bytes that
follows from its arithmetic, and reaches the same share of the bandwidth there as it reached where it was measured.
What a run leaves to the CPU (geometry, normal equations, error bars) takes as long as on the cores that were measured.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mlit.fourier.trilinear import half_grid_voxels
from mlit.likelihood.premultiply import boxes_for
from mlit.maps.references import ReferenceSettings
from mlit.training.memory import COPIES_WITH_REFERENCES, Place, RunSize, estimate_memory
from mlit.training.series_setup import map_box

CORNERS = 8  # of a voxel, read or written for every pixel
BYTES_PER_PASS = CORNERS * (32 + 2 * 8) + 4 * 32 + 16  # rows of the table, their places and weights; values; image
BYTES_PER_INSERTED = CORNERS * (2 * 12 + 2 * 8) + 2 * 12  # sums read and written, places and weights; values
BYTES_PER_CUT = 16 * 4  # sixteen readings and writings of each pixel of the large box: cut, transforms, phases, CTF
BYTES_PER_TILT_PIXEL = 20 * 4  # to normalise and filter an image
ON_THE_HOST = ("equations", "steps", "posterior")  # stages in float64
ONLY_IN_FITS = ("premultiply", "evaluate", "small operations", "float64 on the CPU")
NYQUIST_ROOM = 2.0  # pixels of the images a fit works on, in its resolution


@dataclass(frozen=True)
class Case:
    """A data set, and how it is refined.

    Attributes
    ----------
    series, particles, tilts
        Number of series, of particles in all of them, and of tilts in each.
    pixel_size_angstrom, image_pixels
        Of the tilt images.
    diameter_angstrom, defocus_um
        Of the molecule, and of the images at most.
    resolution_angstrom
        Finest detail in the fits; maps go to that of the pixels.
    map_resolution_angstrom
        Finest detail in the maps.
    passes
        Passes over the images in each fit.
    groups
        Groups of particles with a map of their own.
    iterations
        Iterations that fit.
    """

    series: int
    particles: int
    tilts: int
    pixel_size_angstrom: float
    image_pixels: int
    diameter_angstrom: float
    defocus_um: float
    resolution_angstrom: float
    map_resolution_angstrom: float
    passes: float
    groups: int = 2
    iterations: int = 4
    voltage_kv: float = 300.0

    @property
    def images_of_series(self) -> float:
        """Particle images of one series."""
        return self.particles / self.series * self.tilts

    @property
    def tight_angstrom(self) -> float:
        """Side of the references' box."""
        return ReferenceSettings(self.diameter_angstrom).tight_angstrom

    @property
    def box(self) -> int:
        """Side of the maps in pixels."""
        return map_box(ReferenceSettings(self.diameter_angstrom), self.pixel_size_angstrom)


EMPIAR_10499 = Case(65, 18000, 41, 1.7, 3838 * 3710, 290.0, 4.0, 3.5, 3.4, 4.0)


@dataclass(frozen=True)
class Gpu:
    """Published limits of a GPU."""

    bytes_per_second: float = 3.35e12
    memory_bytes: float = 80e9


@dataclass(frozen=True)
class Surroundings:
    """What is around the GPUs; assumptions, to be replaced by those of a computer.

    Attributes
    ----------
    storage_bytes_per_second
        Of the file system, for all together.
    network_bytes_per_second
        Between two processes.
    cores
        That work for each GPU, in those of the measurement, as far as they add up.
    """

    storage_bytes_per_second: float = 5e9
    network_bytes_per_second: float = 3e9
    cores: float = 1.0


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes
    ----------
    shares
        Share of a memory's bandwidth that each stage reached.
    seconds_per_series
        Time of a fit that does not depend on the images: small operations one after the other.
    host_seconds_per_image
        Time of one core for a particle image in the stages that stay on the CPU.
    """

    shares: Mapping[str, float]
    seconds_per_series: float
    host_seconds_per_image: float


@dataclass(frozen=True)
class Forecast:
    """What an iteration takes.

    Attributes
    ----------
    gpus
        Number of GPUs.
    seconds
        Time of each stage in an iteration that fits, on the GPU with most to do.
    run_seconds
        The whole run: one iteration that only reconstructs, then those that fit.
    memory_bytes
        Most memory on a GPU, if nothing is kept in that of the computer.
    memory_suffices
        Whether a GPU has it.
    """

    gpus: int
    seconds: dict[str, float]
    run_seconds: float
    memory_bytes: float
    memory_suffices: bool

    @property
    def bottleneck(self) -> str:
        """The stage that takes longest."""
        return max(self.seconds, key=lambda name: self.seconds[name])


def _pixels(side_angstrom: float, resolution_angstrom: float) -> float:
    """Fourier pixels of an image inside a resolution, without those that follow by symmetry."""
    return math.pi / 2 * (side_angstrom / resolution_angstrom) ** 2


def bytes_of_series(case: Case) -> dict[str, float]:
    """Bytes that each stage moves for one series."""
    images, detail = case.images_of_series, case.resolution_angstrom
    pixel = max(case.pixel_size_angstrom, detail / NYQUIST_ROOM)
    cut = boxes_for(pixel, case.tight_angstrom, detail, case.defocus_um, case.voltage_kv).large ** 2
    length, finest = case.box * case.pixel_size_angstrom, case.map_resolution_angstrom
    map_pixel = max(case.pixel_size_angstrom, finest / NYQUIST_ROOM)
    map_cut = boxes_for(map_pixel, length, finest, case.defocus_um, case.voltage_kv).large ** 2
    return {
        "images": BYTES_PER_TILT_PIXEL * case.tilts * case.image_pixels,
        "premultiply": BYTES_PER_CUT * images * cut,
        "evaluate": BYTES_PER_PASS * images * case.passes * _pixels(case.tight_angstrom, detail),
        "insertion": images * (BYTES_PER_CUT * map_cut + BYTES_PER_INSERTED * _pixels(length, finest)),
    }


def bytes_of_maps(case: Case) -> float:
    """Bytes that the making of maps and references moves: every copy is written and read."""
    size = min(case.box, 2 * math.ceil(case.box * case.pixel_size_angstrom / case.map_resolution_angstrom + 1))
    return 2 * 4 * COPIES_WITH_REFERENCES[True] * size**3


def shares_of_bandwidth(case: Case, seconds: Mapping[str, float], bytes_per_second: float) -> dict[str, float]:
    """Share of a memory's bandwidth that each stage reached.

    Parameters
    ----------
    case
        What was measured.
    seconds
        Time of each stage over all series, on one core.
    bytes_per_second
        What a plain copy reaches there.
    """
    moved = {name: case.series * size for name, size in bytes_of_series(case).items()}
    moved["references"] = bytes_of_maps(case)
    return {name: size / (seconds[name] * bytes_per_second) for name, size in moved.items()}


def forecast(
    case: Case, gpus: int, measured: Measured, gpu: Gpu = Gpu(), around: Surroundings = Surroundings()
) -> Forecast:
    """Foretell an iteration and a run.

    Parameters
    ----------
    case
        The data set.
    gpus
        GPUs, each with whole series.
    measured
        Shares count as 1 at most.
    gpu, around
        Limits.
    """
    own = math.ceil(case.series / gpus)
    speed = {name: min(share, 1.0) * gpu.bytes_per_second for name, share in measured.shares.items()}
    seconds = {name: own * size / speed[name] for name, size in bytes_of_series(case).items()}
    read = 4 * case.tilts * case.image_pixels * case.series
    seconds["reading files"] = read / around.storage_bytes_per_second
    seconds["small operations"] = own * measured.seconds_per_series
    seconds["float64 on the CPU"] = own * case.images_of_series * measured.host_seconds_per_image / around.cores
    sums = 12 * case.groups * half_grid_voxels(case.box)
    seconds["adding up sums"] = 2 * sums / around.network_bytes_per_second if gpus > 1 else 0.0
    seconds["references"] = bytes_of_maps(case) / speed["references"]
    without_fits = sum(time for name, time in seconds.items() if name not in ONLY_IN_FITS)
    size = _run_size(case)
    needed = estimate_memory(size, place=Place.GPU).peak
    run = without_fits + case.iterations * sum(seconds.values())
    return Forecast(gpus, seconds, run, needed, needed <= gpu.memory_bytes)


def _run_size(case: Case) -> RunSize:
    series = 4 * case.tilts * case.image_pixels
    images, pixel = round(case.images_of_series), case.pixel_size_angstrom
    return RunSize(series, series, series, images, case.box, case.groups, pixel, case.tight_angstrom, fits=True)
