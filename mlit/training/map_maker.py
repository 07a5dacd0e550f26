"""The maps of a run: from the images of an iteration to half maps, and from these to references."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mlit.deformation.series_model import SeriesModel
from mlit.denoising.denoised import Denoised
from mlit.denoising.half_maps import denoise, posterior_halves
from mlit.denoising.module import MapDenoiser
from mlit.errors import InputError
from mlit.fourier.insertion import FourierSums
from mlit.fourier.resize import resample_map
from mlit.geometry.map_symmetry import Symmetry
from mlit.likelihood.tilt_images import TiltImages
from mlit.maps.common_frame import common_frame
from mlit.maps.references import HalfMaps, ReferenceSettings, half_maps, reference_maps
from mlit.maps.rigid_motion import RigidMotion, move_map
from mlit.maps.subsets import Subsets, judge_subsets
from mlit.training.partial_sums import PartialSums
from mlit.training.reference_scale import scale_to_images
from mlit.training.series_record import SeriesRecord
from mlit.training.series_step import SeriesContext, add_to_maps

LOG = logging.getLogger("mlit")
MASK_ANGSTROM = 15.0  # finer detail does not tell the molecule from the solvent


@dataclass(frozen=True)
class MapSettings:
    """Maps of the run.

    Attributes
    ----------
    references
        How references are made.
    box
        Side of the maps in pixels.
    pixel_size_angstrom
        Their pixel size.
    folds
        Groups of particles in each half set.
    symmetry
        Of the maps.
    mask
        Given mask, or None for an automatic one.
    seed
        For the phase randomisation.
    """

    references: ReferenceSettings
    box: int
    pixel_size_angstrom: float
    folds: int
    symmetry: Symmetry
    mask: Tensor | None = None
    seed: int = 0


@dataclass(frozen=True)
class References:
    """References of an epoch.

    Attributes
    ----------
    maps
        One map ``"group z y x"`` for each group of particles.
    pixel_size_angstrom
        Their voxel size.
    resolution_angstrom
        How far they are significant.
    """

    maps: Tensor
    pixel_size_angstrom: float
    resolution_angstrom: float

    def moved(self, motions: Sequence[RigidMotion]) -> "References":
        """Move the references of each half set."""
        sides = self.maps.unflatten(0, (len(motions), -1))
        volumes = [
            move_map(volume, motion, self.pixel_size_angstrom)
            for side, motion in zip(sides, motions, strict=True)
            for volume in side
        ]
        return replace(self, maps=torch.stack(volumes))


class MapMaker:
    """Sums of the maps under way, and what becomes of them.

    Parameters
    ----------
    settings
        Maps of the run.
    partial_sums
        Record of the maps under way.
    denoiser
        Network that references pass through; None for none.

    Attributes
    ----------
    halves
        Half maps of the last iteration that ended; None before.
    subsets
        How good parts of the data are; None where that was not asked for, or each half set is a single group.
    """

    def __init__(self, settings: MapSettings, partial_sums: PartialSums, denoiser: MapDenoiser | None = None) -> None:
        self.settings, self.partial_sums, self.denoiser = settings, partial_sums, denoiser
        self.halves: HalfMaps | None = None
        self.subsets: Subsets | None = None
        self._sums: FourierSums | None = None
        self._summed: list[str] = []

    def begin(self, epoch: int, resolution_angstrom: float, device: torch.device) -> None:
        """Lay out sums, with what an interrupted run of this epoch had added to them."""
        settings = self.settings
        self._sums = FourierSums.zeros(
            2 * settings.folds, settings.box, settings.pixel_size_angstrom, resolution_angstrom, device
        )
        self._summed = self.partial_sums.take_up(self._sums, epoch)

    @property
    def sums(self) -> FourierSums:
        """Sums of the maps under way; only between begin and end."""
        assert self._sums is not None
        return self._sums

    def add(
        self,
        name: str,
        epoch: int,
        model: SeriesModel,
        images: TiltImages,
        context: SeriesContext,
        species: int,
        record: SeriesRecord,
        batch_bytes: int,
    ) -> None:
        """Add the particles of a species in a series, unless they are in the sums already.

        ``batch_bytes`` says how much of its premultiplied images may be held at once.
        """
        if name in self._summed:
            return
        weight = record.credence.image_weight(context.false_fraction)
        length = self.settings.box * self.settings.pixel_size_angstrom
        amplitude = record.relative_amplitude(context)
        add_to_maps(self.sums, model, images, context, species, amplitude, weight, length, batch_bytes)
        self._summed.append(name)
        self.partial_sums.record(self.sums, epoch, self._summed)

    @property
    def any_added(self) -> bool:
        """Whether the sums hold anything."""
        return bool(torch.any(self.sums.rows))

    def make_half_maps(self, expected_angstrom: float) -> HalfMaps:
        """Turn the sums into half maps.

        Parameters
        ----------
        expected_angstrom
            Resolution to be expected, for the automatic mask.

        Raises
        ------
        InputError
            If a half set is empty.
        """
        for number, half in enumerate(self.sums.rows.unflatten(0, (2, -1)), 1):
            if not torch.any(half):
                raise InputError(f"half set {number} is empty: no particle of it could be used; assign the halves anew")
        settings, mask = self.settings, self.settings.mask
        if mask is not None:
            mask = resample_map(mask.to(self.sums.rows.device), self.sums.size).clamp(0, 1)
        detail = max(expected_angstrom, MASK_ANGSTROM)
        self.halves = half_maps(self.sums, settings.symmetry, settings.references, mask, detail, settings.seed)
        return self.halves

    def judge_subsets(self) -> None:
        """Find out how the resolution depends on the number of particles."""
        self.subsets = judge_subsets(self.sums, self._made, self.settings.symmetry, self.settings.seed)

    def make_references(self) -> References:
        """Turn the sums into references, one for each group of particles, each half set in its own frame."""
        settings, halves = self.settings, self._made
        volumes = reference_maps(self.sums, halves, settings.symmetry, settings.references)
        volumes = volumes if self.denoiser is None else self._denoise(self.denoiser, volumes).maps
        return References(volumes, self.sums.pixel_size_angstrom, halves.significant_resolution_angstrom)

    def common_frame(self) -> tuple[RigidMotion, RigidMotion] | None:
        """Motions of both half sets to their common frame; None where they share one already."""
        return common_frame(self._made, self.settings.symmetry, self.settings.references.diameter_angstrom)

    def on_scale_of_images(self, given: References) -> References:
        """Bring given references to the units of the images."""
        maps = given.maps.to(self._made.first.device)
        return replace(given, maps=maps * scale_to_images(maps, given.pixel_size_angstrom, self._made))

    def end(self) -> None:
        """Forget the sums."""
        self._sums = None
        self.partial_sums.drop()

    def denoise_half_maps(self) -> Denoised | None:
        """Apply the denoiser, if there is one, to the half maps of the last iteration; trained if it never was."""
        if self.denoiser is None:
            return None
        halves, box = self._made, self._made.first.shape[-1]
        size = min(box, 2 * round(self.settings.references.tight_angstrom / halves.pixel_size_angstrom / 2))
        means, learn = posterior_halves(halves, size), not self.denoiser.is_trained
        return self._denoise(self.denoiser, means, learn).padded(box)

    def _denoise(self, denoiser: MapDenoiser, volumes: Tensor, learn: bool = True) -> Denoised:
        shared = self.settings.references.shared_resolution_angstrom
        denoised = denoise(denoiser, volumes, self._made, self.settings.symmetry, shared, learn)
        LOG.info("  %s", denoised)
        return denoised

    @property
    def _made(self) -> HalfMaps:
        assert self.halves is not None
        return self.halves
