"""One pass over the images: log-likelihood, gradient and curvature in local coordinates."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mlit.deformation.local_coordinates import VIEW_COORDINATES, View
from mlit.fourier.slices import ReferenceTable
from mlit.likelihood.chunk import Chunk, bring_up_to_date, images_per_chunk
from mlit.likelihood.columns import model_columns
from mlit.likelihood.particle_images import ParticleImages
from mlit.parallel import run_pieces


@dataclass(frozen=True)
class LocalStatistics:
    """What the images say about a view, to second order, for any amplitude of the reference.

    With the reference scaled by a in a tilt, the log-likelihood of an image is ``a cross - a² power / 2``,
    its gradient ``a cross_slope - a² power_slope`` and its Gauss-Newton curvature ``a² curvature``. Coordinates are
    shift (2), rotation (3), defocus, and the watched aberrations.

    Attributes
    ----------
    cross
        Re<P, C> (sum over the whole Fourier plane, over the area of the box).
    power
        <P, W P>.
    cross_slope
        Derivative of ``cross`` by the local coordinates.
    power_slope
        Half the derivative of ``power`` by the local coordinates.
    curvature
        Gauss-Newton curvature, positive semidefinite.
    """

    cross: Float[Tensor, "particle tilt"]
    power: Float[Tensor, "particle tilt"]
    cross_slope: Float[Tensor, "particle tilt coordinate"]
    power_slope: Float[Tensor, "particle tilt coordinate"]
    curvature: Float[Tensor, "particle tilt coordinate coordinate"]

    @classmethod
    def joined(
        cls, parts: Sequence[tuple[Int[Tensor, " some"], "LocalStatistics"]], particles: int
    ) -> "LocalStatistics":
        """Put statistics of some particles, given with their numbers, in their places; others have none."""
        first = parts[0][1]
        if len(parts) == 1 and len(first.cross) == particles:
            return first

        def whole(name: str) -> Tensor:
            out = getattr(first, name).new_zeros(particles, *getattr(first, name).shape[1:])
            for some, part in parts:
                out[some] = getattr(part, name)
            return out

        return cls(*(whole(field.name) for field in fields(cls)))

    def log_likelihood(self, amplitude: Float[Tensor, " tilt"]) -> Float[Tensor, "particle tilt"]:
        """Log-likelihood of every image for given amplitudes."""
        return amplitude * self.cross - amplitude.square() * self.power / 2

    def gradient(self, amplitude: Float[Tensor, " tilt"]) -> Float[Tensor, "particle tilt coordinate"]:
        """Gradient of the log-likelihood for given amplitudes."""
        a = amplitude[:, None]
        return a * self.cross_slope - a.square() * self.power_slope


def local_statistics(
    images: ParticleImages,
    view: View,
    table: ReferenceTable,
    map_index: Int[Tensor, " particle"],
) -> LocalStatistics:
    """Log-likelihood and its derivatives of all images of a series at a view.

    Parameters
    ----------
    images
        Premultiplied images.
    view
        Where the particles are now; may differ from where the images were cut by a few pixels.
    table
        Reference transforms with gradients.
    map_index
        The map of ``table`` to compare each particle with.
    """
    particles, tilts = images.valid.shape
    which = images.valid.flatten().nonzero().squeeze(1)
    watched = () if images.watched is None else images.watched.coordinates
    count = VIEW_COORDINATES + len(watched)
    out = torch.zeros(particles * tilts, 2 + 2 * count + count**2, dtype=torch.float64)
    changes = None if images.watched is None else images.watched.phase_changes(view.aberrations)

    def look_at(part: Tensor) -> None:
        particle, tilt = part // tilts, part % tilts
        chunk = bring_up_to_date(images, view, particle, tilt, changes)
        columns = model_columns(images, view, table, map_index[particle], particle, tilt)
        out[part] = _second_order(columns, chunk, images)

    run_pieces(look_at, which.split(images_per_chunk(images)), images.data.device)
    cross, power, cross_slope, power_slope, curvature = out.split([1, 1, count, count, count**2], -1)
    size = (particles, tilts)
    return LocalStatistics(
        cross.reshape(size),
        power.reshape(size),
        cross_slope.reshape(*size, count),
        power_slope.reshape(*size, count),
        curvature.reshape(*size, count, count),
    )


def _second_order(
    columns: Float[Tensor, "image part column pixel"], chunk: Chunk, images: ParticleImages
) -> Float[Tensor, "image statistic"]:
    """Cross term, power, their slopes and the curvature of each image.

    The first column is the model itself, the others are its derivatives by all coordinates that do not act through
    the CTF. Those that do act on it as real functions of frequency times its derivative by γ.
    """
    gram = (chunk.weighted(columns) @ columns.transpose(2, 3)).sum(1)
    cross = (columns @ chunk.data_of(columns)[..., None]).sum(1).squeeze(-1)
    through = _through_ctf(images)
    if chunk.quadrature is not None:
        slope, wave, square = chunk.by_phase(columns[:, :, 0])
        mixed = (columns @ (wave[..., None] * through)).sum(1)
        slope, both = slope @ through, square @ _products(through)
    else:
        mixed = gram.new_zeros(*gram.shape[:2], 1)
        both, slope = mixed[:, 0], mixed[:, 0]
    cross = torch.cat([cross, slope], 1)
    corner = both.unflatten(1, (slope.shape[1], -1))
    gram = torch.cat([torch.cat([gram, mixed], 2), torch.cat([mixed.transpose(1, 2), corner], 2)], 1)
    order = _order(images)
    gram = gram[:, order][:, :, order]
    rows = [cross[:, :1], gram[:, 0, :1], cross[:, order[1:]], gram[:, 0, 1:], gram[:, 1:, 1:].flatten(1)]
    return torch.cat(rows, 1).cpu().double() * (2 / images.pixels.area_square_angstrom)


def _through_ctf(images: ParticleImages) -> Float[Tensor, "pixel function"]:
    """Return the derivative of gamma by defocus and by the watched even aberrations."""
    slope = images.slope[:, None]
    return slope if images.watched is None else torch.cat([slope, images.watched.even], 1)


def _products(functions: Float[Tensor, "pixel function"]) -> Float[Tensor, "pixel pair"]:
    return (functions[:, :, None] * functions[:, None]).flatten(1)


def _order(images: ParticleImages) -> list[int]:
    """Where the model and every local coordinate stand among plain columns and those through the CTF.

    Plain columns: model, shift, rotation, odd aberrations, magnification. Then defocus and even aberrations.
    """
    if images.watched is None:
        return list(range(7))
    even, coordinates = images.watched.even.shape[1], len(images.watched.coordinates)
    plain = VIEW_COORDINATES + coordinates - even
    return [*range(6), plain, *range(plain + 1, plain + 1 + even), *range(6, plain)]
