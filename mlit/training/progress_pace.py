"""How much time a run still takes, judged by how long its parts took so far."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class Rate:
    """Seconds that units of some work took, of the latest iteration that did any."""

    seconds: float = 0.0
    units: float = 0.0
    stale: bool = False

    def add(self, seconds: float, units: float) -> None:
        """Count a piece of work; the first of an iteration replaces what iterations before took."""
        if self.stale:
            self.seconds, self.units, self.stale = 0.0, 0.0, False
        self.seconds += seconds
        self.units += units

    @property
    def each(self) -> float | None:
        """Seconds a unit; None where nothing is known."""
        return self.seconds / self.units if self.units > 0 else None


class Pace:
    """Foretells the end of a run.

    A series counts by its particle images, not as one. A fit also counts by the pixels of an image inside its
    resolution, so that a finer iteration is foretold to take longer. Series that are only added to the maps, as in
    the first iteration and after an interruption, are counted apart. Iterations to come are taken to look as far as
    the present one, and none to be saved because fits have settled.

    Parameters
    ----------
    images
        Particle images of every series that this process works on.
    epochs
        Iterations of the run, with the first, which only reconstructs.
    """

    def __init__(self, images: Mapping[str, int], epochs: int) -> None:
        self.images, self.epochs = dict(images), epochs
        self.epoch, self.detail = 0, 0.0
        self.todo: set[str] = set()
        self.fits, self.additions, self.maps = Rate(), Rate(), Rate()

    def begin(self, epoch: int, resolution_angstrom: float | None, is_last: bool = False) -> None:
        """Start an iteration that fits up to a resolution; None: that fits nothing."""
        self.epoch = self.epochs - 1 if is_last else epoch
        self.detail = 0.0 if resolution_angstrom is None else resolution_angstrom**-2
        self.todo = set(self.images)
        self.fits.stale = self.additions.stale = True

    def series(self, name: str, seconds: float, fitted: bool, used: bool = True) -> None:
        """Count a series that is done; ``used`` is false where its images could not be."""
        self.todo.discard(name)
        if used and fitted:
            self.fits.add(seconds, self.images[name] * self.detail)
        elif used:
            self.additions.add(seconds, self.images[name])

    def end(self, seconds: float) -> None:
        """Count the making of maps and references that ends an iteration."""
        self.maps.stale = True
        self.maps.add(seconds, 1.0)

    def left_in_iteration(self) -> float | None:
        """Seconds to the end of the iteration; None where nothing like it was done yet."""
        rest = self._seconds(sum(self.images[name] for name in self.todo), self.detail)
        return None if rest is None else rest + (self.maps.each or 0.0)

    def left(self) -> float | None:
        """Seconds to the end of the run; None before the first fit of a run that fits."""
        now, following = self.left_in_iteration(), self.epochs - 1 - self.epoch
        if now is None or following == 0:
            return now
        later = None if self.fits.each is None else self._seconds(sum(self.images.values()), self.detail)
        return None if later is None else now + following * (later + (self.maps.each or 0.0))

    def _seconds(self, images: float, detail: float) -> float | None:
        rate = self.fits.each if detail else self.additions.each
        units = images * (detail or 1.0)
        return 0.0 if units == 0 else None if rate is None else rate * units


def duration(seconds: float) -> str:
    """Write a time as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
