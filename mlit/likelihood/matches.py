"""Images of a series beside the references that they are compared with, species by species."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mlit.fourier.slices import ReferenceTable
from mlit.likelihood.image_batches import ImageBatches
from mlit.likelihood.particle_images import ParticleImages


@dataclass(frozen=True)
class Match:
    """Images of the particles of one species, and its references.

    Attributes
    ----------
    images
        Premultiplied images.
    table
        Reference transforms.
    map_index
        The map of ``table`` to compare each particle with: one that the particle had no part in.
    """

    images: ImageBatches
    table: ReferenceTable
    map_index: Int[Tensor, " particle"]


@dataclass(frozen=True)
class Batch:
    """Some particles of a series, all of one species.

    Attributes
    ----------
    particles
        Their numbers in the series.
    images, table, map_index
        As in :class:`Match`.
    """

    particles: Int[Tensor, " some"]
    images: ParticleImages
    table: ReferenceTable
    map_index: Int[Tensor, " some"]


class Matches:
    """All particles of a series, one species after the other.

    Parameters
    ----------
    parts
        One entry for each species: its match, or, where it takes no part, which of its particles are seen in which
        tilts: none.
    """

    def __init__(self, parts: Sequence[Match | Bool[Tensor, "particle tilt"]]) -> None:
        self.parts = tuple(parts)
        self.present = tuple(part for part in parts if isinstance(part, Match))

    @classmethod
    def of_one(cls, images: ImageBatches, table: ReferenceTable, map_index: Int[Tensor, " particle"]) -> "Matches":
        """Return a series with a single species."""
        return cls([Match(images, table, map_index)])

    @property
    def valid(self) -> Bool[Tensor, "particle tilt"]:
        """Images that take part."""
        return torch.cat([part.images.valid if isinstance(part, Match) else part for part in self.parts])

    def __iter__(self) -> Iterator[Batch]:
        """Go through all particles that take part, in the order of the series."""
        first = 0
        for part in self.parts:
            if not isinstance(part, Match):
                first += len(part)
                continue
            for some, images in part.images:
                yield Batch(some + first, images, part.table, part.map_index[some])
            first += len(part.images.valid)

    @property
    def slope(self) -> Float[Tensor, " pixel"]:
        """Derivative of the aberration phase by defocus at all pixels, rad/µm."""
        return torch.cat([part.images.slope for part in self.present])

    def aberration_sizes(self, change: Float[Tensor, " watched"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Bound on what a change of the watched aberrations does: phase (rms over pixels), and shift at the rim (Å)."""
        phase, shift = change.new_zeros(()), change.new_zeros(())
        for part in self.present:
            if part.images.watched is not None:
                one, stretch = part.images.watched.sizes(change)
                phase = torch.maximum(phase, one)
                shift = torch.maximum(shift, stretch * part.images.half_width_angstrom)
        return phase, shift
