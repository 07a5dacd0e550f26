"""A few images at the view in question: their data and CTF power, brought up to date.

The model of an image is ``-sin γ A - cos γ B``; see :mod:`mlit.likelihood.columns`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mlit.deformation.local_coordinates import View
from mlit.likelihood.particle_images import ParticleImages

# Images in one chunk times pixels: keeps the temporaries of a pass inside the caches of a CPU core, or lets each
# operation keep a GPU busy for longer than it takes to start it, with temporaries of some 2 GB.
CPU_POINTS_PER_CHUNK = 1 << 17
GPU_POINTS_PER_CHUNK = 1 << 22


def images_per_chunk(images: ParticleImages) -> int:
    """How many images are best looked at together."""
    limit = CPU_POINTS_PER_CHUNK if images.data.device.type == "cpu" else GPU_POINTS_PER_CHUNK
    return max(1, limit // max(1, images.pixels.count))


@dataclass(frozen=True)
class Quadrature:
    """What follows a change of γ: the data that pair with B, crop(E sin γ cos γ) and crop(E cos² γ)."""

    data: Float[Tensor, "image part pixel"]
    mixed: Float[Tensor, "image pixel"]
    power: Float[Tensor, "image pixel"]


@dataclass(frozen=True)
class Chunk:
    """Data that pair with A, crop(E sin² γ), and what else is known where there are quadrature images."""

    data: Float[Tensor, "image part pixel"]
    power: Float[Tensor, "image pixel"]
    quadrature: Quadrature | None = None

    def weighted(self, model: Float[Tensor, "image part *column pixel"]) -> Float[Tensor, "image part *column pixel"]:
        """Weight models by what is known at each frequency, so that sums over products with others are theirs."""
        axes = (slice(None), None, *[None] * (model.dim() - 3))
        if _is_flat(model):
            return model * self.power[axes]
        assert self.quadrature is not None, "curved slices need quadrature images"
        a, b = model.chunk(2, 1)
        mixed = self.quadrature.mixed[axes]
        return torch.cat([a * self.power[axes] + b * mixed, a * mixed + b * self.quadrature.power[axes]], 1)

    def data_of(self, model: Float[Tensor, "image part *column pixel"]) -> Float[Tensor, "image part pixel"]:
        """Return what the parts of a model pair with."""
        if _is_flat(model):
            return self.data
        assert self.quadrature is not None, "curved slices need quadrature images"
        return torch.cat([self.data, self.quadrature.data], 1)

    def by_phase(
        self, model: Float[Tensor, "image part pixel"]
    ) -> tuple[Float[Tensor, "image pixel"], Float[Tensor, "image part pixel"], Float[Tensor, "image pixel"]]:
        """Compare the derivative of the model by γ with the data, weight it, and square it.

        The derivative has -B in the place of A, and A in the place of B.
        """
        quadrature = self.quadrature
        assert quadrature is not None, "changes of the CTF need quadrature images"
        if _is_flat(model):
            data = (model * quadrature.data).sum(1)
            return data, model * quadrature.mixed[:, None], model.square().sum(1) * quadrature.power
        a, b = model.chunk(2, 1)
        derivative = torch.cat([-b, a], 1)
        weighted = self.weighted(derivative)
        return (derivative * self.data_of(model)).sum(1), weighted, (derivative * weighted).sum(1)


def _is_flat(model: Float[Tensor, "image part *column pixel"]) -> bool:
    return model.shape[1] == 2


def bring_up_to_date(
    images: ParticleImages,
    view: View,
    particle: Tensor,
    tilt: Tensor,
    changes: tuple[Float[Tensor, "tilt pixel"], Float[Tensor, "tilt pixel"]] | None,
) -> Chunk:
    """Undo the present shift and odd aberrations on the data, and move data and power to the present CTF."""
    shift = (view.xy_angstrom - images.xy_angstrom)[particle, tilt].to(images.slope)
    phase = (2 * torch.pi * shift) @ images.pixels.frequency.T
    moved = (view.defocus_um - images.defocus_um)[particle, tilt].to(images.slope)[:, None] * images.slope
    if changes is not None:
        moved, phase = moved + changes[0][tilt], phase + changes[1][tilt]
    cosine, sine = torch.cos(phase), torch.sin(phase)
    data = _turned(images.data[particle, tilt], cosine, sine)
    even, odd = images.power_waves(view.defocus_um, particle, tilt, None if changes is None else changes[0])
    power = (images.power[tilt] - even) / 2
    if not images.has_quadrature:
        return Chunk(data, power)
    cos_d, sin_d = torch.cos(moved), torch.sin(moved)
    cos_d, sin_d = cos_d[:, None], sin_d[:, None]
    quadrature = _turned(images.quadrature[particle, tilt], cosine, sine)
    second = Quadrature(quadrature * cos_d - data * sin_d, odd / 2, (images.power[tilt] + even) / 2)
    return Chunk(data * cos_d + quadrature * sin_d, power, second)


def _turned(
    values: Complex[Tensor, "image pixel"], cosine: Float[Tensor, "image pixel"], sine: Float[Tensor, "image pixel"]
) -> Float[Tensor, "image part pixel"]:
    """Multiply by ``-i (cosine + i sine)``: a phase, in the frame of :func:`model_columns`."""
    real, imaginary = values.real, values.imag
    return torch.stack([real * sine + imaginary * cosine, imaginary * sine - real * cosine], 1)
