"""Everything that is drawn at random about one series, before any image is made."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from mlit.simulation.aberrations import OpticsPair, draw_known_optics, draw_magnification, with_optics_errors
from mlit.simulation.config import SimulationConfig
from mlit.simulation.deformations import GeometryPair, draw_geometry
from mlit.simulation.exposure import BadTilt, draw_bad_tilts
from mlit.simulation.placement import Poses, draw_poses, moving_poses, picked_poses
from mlit.simulation.quality import Quality, draw_quality
from mlit.simulation.tilt_scheme import TiltScheme, dose_symmetric_scheme

_DEPTH_MARGIN_ANGSTROM = 400.0
_SHIFT_DEVIATIONS = 2.0
_PLACES = 1  # stream of random numbers


@dataclass(frozen=True)
class SeriesPlan:
    """One series: truth, starting metadata, and the seed of its images.

    Attributes
    ----------
    name
        Series name.
    scheme
        Tilts and doses.
    geometry
        True and starting geometry.
    optics
        True and starting optics besides defocus.
    true_poses, start_poses
        Particle rows; false picks come last. The true ones are those in the middle of the exposure.
    true_samples
        True poses over the exposure: the middle ones, or the first and the last of particles that move.
    half_set
        1 or 2 for each row.
    species
        Number of the species of each row, 0 or 1; false picks are taken for the first.
    bad_tilts
        Spoilt tilts.
    quality
        Strength of the signal.
    seed
        Of the background and of the electron counts.
    """

    name: str
    scheme: TiltScheme
    geometry: GeometryPair
    optics: OpticsPair
    true_poses: Poses
    start_poses: Poses
    half_set: Int[Tensor, " particle"]
    species: Int[Tensor, " particle"]
    bad_tilts: tuple[BadTilt, ...]
    quality: Quality
    seed: int
    true_samples: tuple[Poses, ...]

    @property
    def bad_tilt_indices(self) -> tuple[int, ...]:
        """Indices of spoilt tilts in file order."""
        return tuple(defect.tilt for defect in self.bad_tilts)

    def image_name(self, tilt: int) -> str:
        """File name stem of a tilt's movie and average."""
        return f"{self.name}_{self.scheme.number[tilt]:02d}"


def volume_pixels(config: SimulationConfig) -> tuple[int, int, int]:
    """Tomogram size (x, y, z) in pixels: the field of view, and the ice with a margin, all even."""
    microscope = config.microscope
    depth = (config.sample.thickness_angstrom + _DEPTH_MARGIN_ANGSTROM) / microscope.pixel_size_angstrom
    return microscope.width, microscope.height, 2 * math.ceil(depth / 2)


def plan_series(
    config: SimulationConfig, number: int, diameter_angstrom: float, rng: np.random.Generator
) -> SeriesPlan:
    """Draw one series, with molecules up to a diameter; ``number`` counts from 0 and picks from per-series lists."""
    scheme = dose_symmetric_scheme(config.tilts, number, rng)
    volume = np.array(volume_pixels(config)) * config.microscope.pixel_size_angstrom
    size = torch.as_tensor(volume, dtype=torch.float64)
    geometry = draw_geometry(scheme, config.deformation, config.microscope, size, rng)
    true_poses = _true_poses(config, diameter_angstrom, volume, rng)
    rows = len(true_poses.false_pick)
    errors, strength = rng.spawn(2)  # of their own, so that they change nothing else of a project
    common = np.random.default_rng([config.seed, _PLACES])
    magnified = replace(geometry.true, magnification=draw_magnification(config.aberrations, errors))
    optics = draw_known_optics(config.microscope, len(scheme.angle_deg), rng)
    return SeriesPlan(
        name=f"{config.prefix}_{number + 1:02d}",
        scheme=scheme,
        geometry=GeometryPair(magnified, geometry.start),
        optics=OpticsPair(with_optics_errors(optics, config.aberrations, errors), optics),
        true_poses=true_poses,
        start_poses=picked_poses(true_poses, config.picks, rng),
        half_set=torch.as_tensor(rng.permutation(np.arange(rows) % 2) + 1),
        species=_species(config, true_poses),
        bad_tilts=draw_bad_tilts(config.defects.bad_tilts, len(scheme.angle_deg), rng),
        quality=draw_quality(config.quality, len(scheme.angle_deg), strength, common),
        seed=int(rng.integers(2**31)),
        true_samples=moving_poses(true_poses, config.deformation, rng),
    )


def _species(config: SimulationConfig, poses: Poses) -> Int[Tensor, " particle"]:
    """Tell which species each row is of: the last molecules are of the second."""
    molecules = int((~poses.false_pick).sum())
    first = molecules - round(config.second_species.share * molecules)
    row = torch.arange(len(poses.false_pick))
    return ((row >= first) & (row < molecules)).long()


def _true_poses(
    config: SimulationConfig, diameter: float, volume_angstrom: np.ndarray, rng: np.random.Generator
) -> Poses:
    """Molecules wholly inside the ice and, at zero tilt, inside the field of view."""
    field = volume_angstrom[:2] - diameter - 2 * _SHIFT_DEVIATIONS * config.deformation.offset_angstrom
    extent = np.array([*field, config.sample.thickness_angstrom - diameter])
    distance = config.sample.min_distance_angstrom
    false_picks = round(config.picks.false_fraction * config.sample.particles)
    return draw_poses(
        config.sample.particles,
        false_picks,
        extent,
        diameter if distance is None else distance,
        volume_angstrom / 2,
        rng,
    )
