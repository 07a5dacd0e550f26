"""Tilt series as batches: one series is one batch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import lightning
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from mlit.errors import InputError, OutOfMemoryInputError, one_line
from mlit.likelihood.noise import noise_power
from mlit.likelihood.shade import Shade
from mlit.likelihood.tilt_images import TiltImages, even_fast_size, normalise
from mlit.project.images import load_tilt_images
from mlit.project.project import Project
from mlit.training import ranks
from mlit.training.memory import USUAL, Holding
from mlit.training.series_stream import Heed, SeriesStream
from mlit.training.shares import cost, shares

TILES_PER_DIAMETER = 4  # of those in which the beam is measured
LEAST_TILE = 8  # pixels; smaller ones have too few to measure a variance
STORAGE = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
NO_SERIES = -1  # stands for a series in the share of a process that has none


@dataclass(frozen=True)
class SeriesBatch:
    """Images of one series, or why there are none.

    Attributes
    ----------
    name
        Name of the series; empty where a process has none to refine.
    images
        Normalised tilt images; None where they cannot be used.
    failure
        Reason in one line; None where all is well.
    """

    name: str
    images: TiltImages | None
    failure: str | None = None

    def to(self, device: torch.device) -> "SeriesBatch":
        """Copy on a device."""
        return self if self.images is None else SeriesBatch(self.name, self.images.to(device), self.failure)

    def pinned(self) -> "SeriesBatch":
        """Copy in memory from which a CUDA device reads fast."""
        if self.images is None:
            return self
        return replace(self, images=replace(self.images, pixels=self.images.pixels.pin_memory()))


class TiltSeriesDataset(Dataset):
    """Normalised images of every series, read when asked for and kept in memory while there is room.

    Parameters
    ----------
    projects
        The series, with the particles of one species each.
    diameter_angstrom
        Diameter of the largest molecule: sets the boxes in which noise is measured.
    cache_bytes
        Memory for images that are kept between iterations.
    storage
        Type in which pixels are held; all that is measured in them is measured before.
    """

    def __init__(
        self,
        projects: Sequence[Project],
        diameter_angstrom: float,
        cache_bytes: int = 0,
        storage: torch.dtype = torch.float32,
    ) -> None:
        self.projects, self.series = list(projects), list(projects[0].series)
        self.diameter_angstrom = diameter_angstrom
        self.room, self.storage = cache_bytes, storage
        self.cache: dict[int, SeriesBatch] = {}

    def __len__(self) -> int:
        """Count the series."""
        return len(self.series)

    def __getitem__(self, index: int) -> SeriesBatch:
        """Read, check and normalise one series; a fault of its files is returned, not raised."""
        return self.read(index)

    def read(self, index: int, heed: Heed = lambda: None) -> SeriesBatch:
        """Do the same, and call ``heed`` between steps: what it raises ends it. Want of memory is raised, too."""
        if index == NO_SERIES:
            return SeriesBatch("", None)
        if index in self.cache:
            return self.cache[index]
        series = self.series[index]
        try:
            batch = SeriesBatch(series.name, self._images(index, heed))
        except OutOfMemoryInputError:
            raise
        except InputError as error:
            return SeriesBatch(series.name, None, str(error))
        assert batch.images is not None
        size = batch.images.pixels.nbytes
        if size <= self.room:
            self.room -= size
            self.cache[index] = batch
        return batch

    def _images(self, index: int, heed: Heed) -> TiltImages:
        series = self.series[index]
        pixel = series.pixel_size_angstrom
        xy = series.geometry.project(self._positions(index)).xy_angstrom / pixel
        raw = load_tilt_images(series, heed)
        shade = Shade.find(raw, xy, max(LEAST_TILE, round(self.diameter_angstrom / TILES_PER_DIAMETER / pixel)))
        heed()
        pixels = normalise(raw, shade)
        del raw
        heed()
        box = even_fast_size(1.5 * self.diameter_angstrom / pixel)
        noise = noise_power(pixels, xy.float(), box, ~shade.at(xy))
        return TiltImages(pixels.to(self.storage), pixel, noise, series.geometry.dose.float(), series.weights, shade)

    def _positions(self, index: int) -> Float[Tensor, "particle 3"]:
        """Where the particles of a series lie that are used, of all species; all of them if none is."""
        rows = [project.series[index].particle_index.numpy() for project in self.projects]
        tables = [project.particles for project in self.projects]
        used = [some[table.weight[some] > 0] for some, table in zip(rows, tables, strict=True)]
        chosen = used if any(map(len, used)) else rows
        found = [torch.from_numpy(table.position_angstrom[some, 0]) for some, table in zip(chosen, tables, strict=True)]
        return torch.cat(found)


class TiltSeriesDataModule(lightning.LightningDataModule):
    """Serves the series of a project one by one, in the order of their names; to each process its share.

    Parameters
    ----------
    projects, diameter_angstrom, storage
        See :class:`TiltSeriesDataset`.
    holding
        How many images are held.
    """

    def __init__(
        self,
        projects: Sequence[Project],
        diameter_angstrom: float,
        holding: Holding = USUAL,
        storage: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.dataset = TiltSeriesDataset(projects, diameter_angstrom, holding.cache_bytes, storage)
        self.holding = holding
        self._stream: SeriesStream[SeriesBatch] | None = None

    def transfer_batch_to_device(self, batch: SeriesBatch, device: torch.device, dataloader_idx: int) -> SeriesBatch:
        """Move the images of a series."""
        return batch.to(device)

    @property
    def share(self) -> list[int]:
        """Series of this process; all species count as if they were as large as the largest."""
        box = [self.dataset.diameter_angstrom / series.pixel_size_angstrom for series in self.dataset.series]
        costs = [
            sum(cost(project.series[index], side) for project in self.dataset.projects)
            for index, side in enumerate(box)
        ]
        return shares(costs, ranks.count())[ranks.rank()]

    def train_dataloader(self) -> SeriesStream[SeriesBatch]:
        """One series a batch; no worker processes, since the images of a series are large and kept.

        Lightning ends a run whose loader is empty, so that a process without series gets a batch all the same.
        """
        share = self.share
        self._stream = SeriesStream(
            self._read, share or [NO_SERIES], self.holding.ahead and len(share) > 1, self._leave_out
        )
        return self._stream

    def close(self) -> None:
        """End a reading that is under way."""
        if self._stream is not None:
            self._stream.close()

    def _read(self, index: int, heed: Heed) -> SeriesBatch:
        batch = self.dataset.read(index, heed)
        return batch.pinned() if self.holding.pinned else batch

    def _leave_out(self, index: int, error: Exception) -> SeriesBatch:
        return SeriesBatch(self.dataset.series[index].name, None, f"memory ran out: {one_line(error)}")
