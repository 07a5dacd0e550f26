"""From a project that was read to the parameters and constants of each of its series."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from mlit.deformation.imaging import Imaging
from mlit.deformation.joint_poses import JointPoses
from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.deformation.registry import make_blocks
from mlit.deformation.series_model import SeriesModel
from mlit.deformation.trajectories import make_poses
from mlit.errors import InputError
from mlit.geometry.map_symmetry import Symmetry, make_symmetry
from mlit.geometry.trajectory import normalised_dose
from mlit.io.particle_table import ParticleTable
from mlit.likelihood.tilt_images import even_fast_size
from mlit.maps.references import ReferenceSettings
from mlit.optics.ewald import flat_detail
from mlit.project.project import Project, SeriesInput
from mlit.training.series_step import Members, SeriesContext

PARTICLES_PER_FOLD = 100  # a half set larger than twice this needs fewer folds
MAX_FOLDS = 4
BOX_OVER_DIAMETER = 2.0
BORDER_OVER_DIAMETER = 1 / 8
FEWEST_PIXELS = 4  # across a molecule
EWALD = {"auto": 1, "none": 0, "normal": 1, "reversed": -1}  # hand, relative to that of depth and defocus
GRIDS = {"image_warp": ((1, 1), "x and y"), "volume_warp": ((1, 1, 1, 2), "x, y, z and dose")}  # fewest nodes, axes


@dataclass(frozen=True)
class Species:
    """The molecule being refined.

    Attributes
    ----------
    name
        Name of its folder.
    diameter_angstrom
        Diameter.
    symmetry
        Point group.
    ewald
        Whether the curvature of the Ewald sphere counts, and with which hand: none, normal, reversed; auto is normal
        where detail is fine enough.
    false_fraction
        Share of the picks that is expected to be none; 0 believes all.
    helical_units, helical_twist_deg, helical_rise_angstrom
        Units of a helix that are averaged, 1 for no helix, and how one follows from the other.
    temporal_samples
        Poses of each particle over the exposure; None: as many as the model gives to all species.

    Raises
    ------
    InputError
        If one of them is impossible.
    """

    name: str
    diameter_angstrom: float
    symmetry: str
    ewald: str = "auto"
    false_fraction: float = 0.0
    helical_units: int = 1
    helical_twist_deg: float = 0.0
    helical_rise_angstrom: float = 0.0
    temporal_samples: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.false_fraction < 1:
            raise InputError(f"species.false_fraction={self.false_fraction:g}: must be at least 0 and below 1")
        if not self.diameter_angstrom > 0:
            raise InputError(f"species.diameter={self.diameter_angstrom:g}: must be above zero; give it in Å")
        if Path(self.name).name != self.name:
            raise InputError(f"species.name={self.name}: must be a plain name, it becomes that of a folder")
        if self.ewald not in EWALD:
            raise InputError(f"species.ewald={self.ewald}: must be one of {', '.join(EWALD)}")
        self.map_symmetry  # noqa: B018  # says what is wrong with it

    @property
    def map_symmetry(self) -> Symmetry:
        """Symmetry of its maps."""
        helix = self.helical_units, self.helical_twist_deg, self.helical_rise_angstrom
        return make_symmetry(self.symmetry, *helix, self.diameter_angstrom)

    def check_against(self, project: Project) -> None:
        """Raise if the molecule cannot be seen in the images of a project.

        Raises
        ------
        InputError
            If it is larger than an image, or smaller than a few pixels.
        """
        diameter = self.diameter_angstrom
        for series in project.series:
            x, y = series.geometry.image_size_angstrom.tolist()
            if diameter > min(x, y):
                raise InputError(
                    f"species.diameter={diameter:g}: is more than the images of {series.name} show "
                    f"({x:.0f} × {y:.0f} Å); give the diameter of the molecule in Å"
                )
        if diameter < FEWEST_PIXELS * project.pixel_size_angstrom:
            raise InputError(
                f"species.diameter={diameter:g}: is less than {FEWEST_PIXELS} pixels of "
                f"{project.pixel_size_angstrom:g} Å; give the diameter of the molecule in Å"
            )


def map_box(references: ReferenceSettings, pixel_size_angstrom: float, wanted: int | None = None) -> int:
    """Side of the maps in pixels: twice the diameter, unless another one is wanted.

    Raises
    ------
    InputError
        If the wanted one is odd, or has no room for the references.
    """
    if wanted is None:
        return even_fast_size(BOX_OVER_DIAMETER * references.diameter_angstrom / pixel_size_angstrom)
    least = 2 * math.ceil(references.tight_angstrom / pixel_size_angstrom / 2)
    if wanted % 2 or wanted < least:
        raise InputError(f"species.box={wanted}: must be even and at least {least}, to hold the molecule and its edge")
    return wanted


def assign_groups(
    project: Project, seed: int, folds: int | None = None, together: Int[Tensor, " particle"] | None = None
) -> tuple[Int[Tensor, " particle"], int]:
    """Group of every particle: half set times folds plus a random fold.

    The references of a particle leave out its fold. In small half sets the share of a particle in its own
    reference matters most, and they are cut into more folds. ``folds`` gives their number all the same: one is enough
    where nothing is fitted. Rows with the same number in ``together`` share noise and are not torn apart: by default
    each stands alone.

    Returns
    -------
    Groups of all rows of the particle table, and the number of folds of a half set.
    """
    half = torch.from_numpy(project.particles.half_set) - 1
    used = torch.zeros(len(half), dtype=torch.bool)
    for series in project.series:
        used[series.particle_index] = True
    used &= torch.from_numpy(project.particles.weight > 0)
    together = torch.arange(len(half)) if together is None else together
    smallest = min(len(together[used & (half == h)].unique()) for h in (0, 1))
    if folds is None:
        folds = max(1, min(MAX_FOLDS, smallest // 2, 2 * MAX_FOLDS * PARTICLES_PER_FOLD // max(smallest, 1)))
    generator = torch.Generator().manual_seed(seed)
    fold = torch.zeros_like(half)
    for h in (0, 1):
        members = (used & (half == h)).nonzero().squeeze(1)
        parts, part = together[members].unique(return_inverse=True)
        of_part = torch.empty_like(parts)
        of_part[torch.randperm(len(parts), generator=generator)] = torch.arange(len(parts)) % folds
        fold[members] = of_part[part]
    return half * folds + fold, folds


@dataclass(frozen=True)
class SpeciesInput:
    """One species in a series.

    Attributes
    ----------
    species
        The species.
    series
        The series, with the rows of the species' particles.
    particles
        All particles of the species.
    group
        Group of each of them.
    """

    species: Species
    series: SeriesInput
    particles: ParticleTable
    group: Int[Tensor, " particle"]


def make_model(inputs: Sequence[SpeciesInput], options: Mapping[str, Mapping[str, Any]]) -> SeriesModel:
    """Parameters of a series, starting from its metadata.

    Parameters
    ----------
    inputs
        What was read: an entry for each species.
    options
        Arguments of the poses and of each block.
    """
    series = inputs[0].series
    imaging = Imaging(series.geometry, series.optics)
    poses = [_poses(one, options["poses"]) for one in inputs]
    return SeriesModel(imaging, poses[0] if len(poses) == 1 else JointPoses(poses), make_blocks(imaging, options))


def _poses(given: SpeciesInput, options: Mapping[str, Any]) -> Poses:
    series, particles, rows = given.series, given.particles, given.series.particle_index.numpy()
    prior = PosePrior(
        options["position_prior_angstrom"],
        options["rotation_prior_deg"],
        options["motion_prior_angstrom"],
        options["motion_prior_deg"],
    )
    return make_poses(
        torch.from_numpy(particles.position_angstrom[rows]),
        torch.from_numpy(particles.euler_deg[rows]).deg2rad(),
        normalised_dose(series.geometry.dose),
        prior,
        given.species.temporal_samples or options["temporal_samples"],
    )


def make_context(inputs: Sequence[SpeciesInput]) -> SeriesContext:
    """Constants of a series."""
    series = inputs[0].series
    amplitude = series.weights.amplitude(series.geometry.tilt_angle_rad)
    return SeriesContext(
        use_tilt=series.use_tilt,
        amplitude_prior=amplitude.where(series.use_tilt, 0),
        members=tuple(_members(one) for one in inputs),
        weights=series.weights,
    )


def _members(given: SpeciesInput) -> Members:
    series, particles, species = given.series, given.particles, given.species
    rows = series.particle_index
    depth_hand = -1 if series.geometry.depth_inverted else 1
    wavelength = series.optics.wavelength_angstrom
    return Members(
        group=given.group[rows],
        use_particle=torch.from_numpy(particles.weight[rows.numpy()] > 0),
        border_angstrom=species.diameter_angstrom * BORDER_OVER_DIAMETER,
        ewald_hand=EWALD[species.ewald] * depth_hand,
        flat_angstrom=flat_detail(species.diameter_angstrom, wavelength) if species.ewald == "auto" else math.inf,
        false_fraction=species.false_fraction,
    )


def check_model_options(options: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise for a prior of no width, an impossible grid, or no pose.

    Raises
    ------
    InputError
        Naming the key.
    """
    for block, arguments in options.items():
        for name, value in arguments.items():
            if name == "grid":
                _check_grid(block, value)
            if "prior" in name or name == "smoothness":
                _check_widths(f"model.{block}.{name}", value)
            if name == "temporal_samples" and value < 1:
                raise InputError(f"model.{block}.{name}={value}: a particle has at least one pose")


def _check_widths(key: str, value: float | Sequence[float | None]) -> None:
    widths = value if isinstance(value, Sequence) else [value]
    if isinstance(value, Sequence) and len(value) != 3:
        raise InputError(f"{key}={value}: give one number, or three along the axes of the reference")
    if not all(width is not None and width > 0 for width in widths):
        raise InputError(f"{key}={value}: must be above zero; switch a block off with enabled=false")


def _check_grid(block: str, nodes: Sequence[int]) -> None:
    fewest, axes = GRIDS[block]
    if len(nodes) != len(fewest) or any(n < least for n, least in zip(nodes, fewest, strict=True)):
        raise InputError(f"model.{block}.grid={list(nodes)}: give the nodes along {axes}, at least {list(fewest)}")
