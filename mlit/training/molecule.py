"""One species in a run: its maps, what its particles are fitted to, and how far the fits look."""

import torch

from mlit.fourier.slices import ReferenceTable
from mlit.maps.references import HalfMaps, reference_table
from mlit.training.map_maker import MapMaker, References
from mlit.training.schedule import Schedule
from mlit.training.series_step import Target


class Molecule:
    """State of one species between and during the epochs.

    Parameters
    ----------
    name
        Name of the species.
    maps
        Makes its maps.
    schedule
        What each iteration does, and how far it can look at this species.
    start
        References to start from; None makes them from the starting poses.

    Attributes
    ----------
    references
        What the next epoch fits to.
    """

    def __init__(self, name: str, maps: MapMaker, schedule: Schedule, start: References | None = None) -> None:
        self.name, self.maps, self.schedule = name, maps, schedule
        self.references = start
        self._table: ReferenceTable | None = None
        self._resolution_angstrom: float | None = None

    def fit_resolution(self, epoch: int) -> float | None:
        """Finest detail in the fits of an epoch; None where nothing can be fitted to."""
        if epoch == 0 or self.references is None:
            return None
        return self.schedule.fit_resolution(epoch, self.references.resolution_angstrom)

    def begin(self, epoch: int, fits: bool, device: torch.device) -> None:
        """Lay out empty sums, and transform the references where the epoch fits to them."""
        resolution = self.fit_resolution(epoch) if fits else None
        self.maps.begin(epoch, self.schedule.map_resolution(epoch, resolution), device)
        self._resolution_angstrom = resolution
        if resolution is not None:
            assert self.references is not None
            maps, pixel = self.references.maps.to(device), self.references.pixel_size_angstrom
            self._table = reference_table(maps, pixel, resolution)

    @property
    def target(self) -> Target | None:
        """What the particles are fitted to in this epoch; None where nothing is."""
        if self._table is None:
            return None
        assert self._resolution_angstrom is not None
        tight = self.maps.settings.references.tight_angstrom
        return Target(self._table, tight, self._resolution_angstrom)

    def make_half_maps(self) -> HalfMaps:
        """Turn the sums of this epoch into half maps."""
        return self.maps.make_half_maps(self._resolution_angstrom or self.maps.sums.resolution_angstrom)

    @property
    def is_complete(self) -> bool:
        """Whether the sums hold all detail that the maps can have."""
        return self.maps.sums.resolution_angstrom <= self.schedule.nyquist_angstrom

    def repeats(self, epoch: int) -> bool:
        """Whether an epoch would fit what this one did, to hardly finer detail; also where there is nothing to fit."""
        halves = self.maps.halves
        assert halves is not None
        if self._resolution_angstrom is None:
            return True
        return self.schedule.repeats(epoch, self._resolution_angstrom, halves.significant_resolution_angstrom)

    def end(self) -> None:
        """Forget what belongs to this epoch alone."""
        self._table = None
        self.maps.end()
