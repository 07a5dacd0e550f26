"""The figures of a finished run that advice on the next one follows from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class BlockFigures:
    """What a run has found of one block, over all series.

    Attributes
    ----------
    value, error, width
        Root mean square of the deviations from the start, of their standard errors, and of the widths of their prior,
        all in the unit of the block.
    outliers
        Share of the parameters that lie far outside their prior.
    """

    value: float
    error: float
    width: float
    outliers: float = 0.0


@dataclass(frozen=True)
class SeriesFigures:
    """What a run has found of one series.

    Attributes
    ----------
    particles
        Of all species that have a pose in it.
    images
        Images that took part in its last fit.
    held_out
        Held-out log-likelihood of one of them, in the mean; not a number where nothing was fitted.
    rejected
        Whether its last fit was thrown away.
    volume_um3
        Of the sample; not a number where the metadata do not say.
    """

    name: str
    particles: int
    images: int
    held_out: float
    rejected: bool = False
    volume_um3: float = math.nan


@dataclass(frozen=True)
class Movement:
    """Root mean square over all particle images, in the images."""

    position_angstrom: float
    rotation_deg: float


@dataclass(frozen=True)
class RunFigures:
    """All that the rules look at; of several species, what is one number is that of the finest map.

    Attributes
    ----------
    series
        The series that were used.
    left_out
        Series that could not be used, with the reason.
    model
        Settings of the model: for each block its arguments, and ``enabled``; ``poses``.
    blocks
        The blocks that were refined, by name.
    diameter_angstrom, wavelength_angstrom
        Of the molecule; of the electrons.
    finest_angstrom
        Finest detail that the maps can hold.
    binned
        Whether maps were asked for on larger pixels than those of the images.
    resolutions_angstrom
        At FSC 0.143, of the start and after each iteration.
    fitted_to_angstrom
        Finest detail in the last fits; None where nothing was fitted.
    moved
        By the fits of each iteration that fitted.
    expected_error
        Of the images' positions and orientations after the last fits.
    pose_error_angstrom
        Median standard error of a coordinate of a particle.
    continued
        Whether it went on from another run.
    compared
        Changes of the model that have been tried at about this detail, by block and arguments as in
        ``model.candidates``.
    weighted
        Whether the metadata hold weights that mlit has estimated.
    suspects
        How many picks and tilts are not believed, by kind.
    false_fraction
        Share of false picks that was expected.
    decay_angstrom2
        B factor of the resolution over the number of particles; not a number where unknown.
    """

    series: tuple[SeriesFigures, ...]
    diameter_angstrom: float
    finest_angstrom: float
    resolutions_angstrom: tuple[float, ...]
    model: Mapping[str, Mapping[str, Any]]
    fitted_to_angstrom: float | None = None
    moved: tuple[Movement, ...] = ()
    expected_error: Movement = Movement(math.nan, math.nan)
    pose_error_angstrom: float = math.nan
    blocks: Mapping[str, BlockFigures] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    wavelength_angstrom: float = 0.0197
    binned: bool = False
    continued: bool = False
    compared: tuple[Mapping[str, Mapping[str, Any]], ...] = ()
    weighted: bool = False
    suspects: Mapping[str, int] = field(default_factory=dict)
    false_fraction: float = 0.05
    decay_angstrom2: float = math.nan

    @property
    def resolution_angstrom(self) -> float:
        """At FSC 0.143, of the final map."""
        return self.resolutions_angstrom[-1]

    @property
    def detail_angstrom(self) -> float:
        """Finest detail that the next fits will look at: that of the map, or of the last fits if finer."""
        return min(self.resolution_angstrom, self.fitted_to_angstrom or math.inf)

    @property
    def particles(self) -> int:
        """In all series."""
        return sum(one.particles for one in self.series)

    @property
    def particles_per_series(self) -> float:
        """Median."""
        counts = sorted(one.particles for one in self.series)
        middle = len(counts) // 2
        return (counts[middle] + counts[~middle]) / 2

    @property
    def particles_per_um3(self) -> float:
        """Density of particles in the sample, over all series of known volume."""
        known = [one for one in self.series if math.isfinite(one.volume_um3) and one.volume_um3 > 0]
        return sum(one.particles for one in known) / sum(one.volume_um3 for one in known) if known else math.nan

    @property
    def held_out(self) -> float:
        """Held-out log-likelihood of an image, in the mean over all images."""
        fitted = [one for one in self.series if math.isfinite(one.held_out) and one.images]
        images = sum(one.images for one in fitted)
        return sum(one.images * one.held_out for one in fitted) / images if images else math.nan
