"""Premultiplied images of a whole series in bounded memory."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mlit.likelihood.particle_images import ParticleImages, WatchedAberrations

Cut = Callable[[Int[Tensor, " some"]], ParticleImages]


class ImageBatches:
    """Images of some particles after the other. The first batch is kept, the others are cut anew in every pass.

    Parameters
    ----------
    cut
        Makes the images of some particles; the same each time.
    valid
        Images that take part.
    particles_at_once
        Particles in a batch, at least 1. With all of them in one nothing is ever cut again.
    """

    def __init__(self, cut: Cut, valid: Bool[Tensor, "particle tilt"], particles_at_once: int) -> None:
        self._cut, self.valid = cut, valid
        self._parts = torch.arange(len(valid), device=valid.device).split(particles_at_once)
        self._first = cut(self._parts[0])

    @classmethod
    def whole(cls, images: ParticleImages) -> "ImageBatches":
        """Take images of all particles that are there already."""
        return cls(lambda some: images, images.valid, max(1, len(images.valid)))

    def __len__(self) -> int:
        """Count the batches."""
        return len(self._parts)

    def __iter__(self) -> Iterator[tuple[Int[Tensor, " some"], ParticleImages]]:
        """Go through all particles: their numbers and their images."""
        yield self._parts[0], self._first
        for part in self._parts[1:]:
            yield part, self._cut(part)

    @property
    def slope(self) -> Float[Tensor, " pixel"]:
        """Derivative of the aberration phase by defocus, rad/µm."""
        return self._first.slope

    @property
    def watched(self) -> WatchedAberrations | None:
        """Aberrations that may change."""
        return self._first.watched

    @property
    def half_width_angstrom(self) -> float:
        """Half the side of the box."""
        return self._first.half_width_angstrom
