"""One pass over the images: log-likelihood, gradient and curvature in local coordinates."""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mlit.deformation.local_coordinates import VIEW_COORDINATES, Coordinate, View
from mlit.fourier.slices import ReferenceTable, slices
from mlit.likelihood.particle_images import ParticleImages
from mlit.parallel import run_pieces

# Images in one chunk times pixels: keeps the temporaries of a pass inside the caches of a CPU core.
MAGNIFICATION = Coordinate.MAGNIFICATION.value
CPU_POINTS_PER_CHUNK = 1 << 17
GPU_POINTS_PER_CHUNK = 1 << 24


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

    def log_likelihood(self, amplitude: Float[Tensor, " tilt"]) -> Float[Tensor, "particle tilt"]:
        """Log-likelihood of every image for given amplitudes."""
        return amplitude * self.cross - amplitude.square() * self.power / 2

    def gradient(self, amplitude: Float[Tensor, " tilt"]) -> Float[Tensor, "particle tilt coordinate"]:
        """Gradient of the log-likelihood for given amplitudes."""
        a = amplitude[:, None]
        return a * self.cross_slope - a.square() * self.power_slope


@dataclass(frozen=True)
class _ByPhase:
    """Derivatives by gamma: of the data, of the power, and the square of the CTF's over noise."""

    data_slope: Complex[Tensor, "image pixel"]
    power_slope: Float[Tensor, "image pixel"]
    power_curvature: Float[Tensor, "image pixel"]


@dataclass(frozen=True)
class _Chunk:
    """A few images at the view in question, phases and CTF already brought up to date."""

    data: Complex[Tensor, "image pixel"]
    power: Float[Tensor, "image pixel"]
    by_phase: _ByPhase | None = None


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
    device = images.data.device
    which = images.valid.flatten().nonzero().squeeze(1)
    watched = () if images.watched is None else images.watched.coordinates
    count = VIEW_COORDINATES + len(watched)
    out = torch.zeros(particles * tilts, 2 + 2 * count + count**2, dtype=torch.float64, device=device)
    changes = None if images.watched is None else images.watched.phase_changes(view.aberrations)
    limit = CPU_POINTS_PER_CHUNK if device.type == "cpu" else GPU_POINTS_PER_CHUNK

    def look_at(part: Tensor) -> None:
        particle, tilt = part // tilts, part % tilts
        chunk = _bring_up_to_date(images, view, particle, tilt, changes)
        values = slices(table, map_index[particle], view.frames(particle, tilt), images.pixels)
        out[part] = _second_order(_columns(values, images, view, particle, tilt), chunk, images)

    run_pieces(look_at, which.split(max(1, limit // images.pixels.count)), device)
    cross, power, cross_slope, power_slope, curvature = out.split([1, 1, count, count, count**2], -1)
    size = (particles, tilts)
    return LocalStatistics(
        cross.reshape(size),
        power.reshape(size),
        cross_slope.reshape(*size, count),
        power_slope.reshape(*size, count),
        curvature.reshape(*size, count, count),
    )


def _bring_up_to_date(
    images: ParticleImages,
    view: View,
    particle: Tensor,
    tilt: Tensor,
    changes: tuple[Float[Tensor, "tilt pixel"], Float[Tensor, "tilt pixel"]] | None,
) -> _Chunk:
    """Undo the present shift and odd aberrations on the data, and move data and power to the present CTF."""
    shift = (view.xy_angstrom - images.xy_angstrom)[particle, tilt].float()
    phase = (2 * torch.pi * shift) @ images.pixels.frequency.T
    moved = (view.defocus_um - images.defocus_um)[particle, tilt].float()[:, None] * images.slope
    if changes is not None:
        moved, phase = moved + changes[0][tilt], phase + changes[1][tilt]
    turn = torch.polar(torch.ones_like(phase), phase)
    data = images.data[particle, tilt] * turn
    even, odd = images.power_waves(view.defocus_um, particle, tilt, None if changes is None else changes[0])
    power = (images.power[tilt] - even) / 2
    if not images.has_quadrature:
        return _Chunk(data, power)
    cos_d, sin_d = torch.cos(moved), torch.sin(moved)
    quadrature = images.quadrature[particle, tilt] * turn
    by_phase = _ByPhase(quadrature * cos_d - data * sin_d, odd, (images.power[tilt] + even) / 2)
    return _Chunk(data * cos_d + quadrature * sin_d, power, by_phase)


def _second_order(
    columns: Float[Tensor, "image column pixel part"], chunk: _Chunk, images: ParticleImages
) -> Float[Tensor, "image statistic"]:
    """Cross term, power, their slopes and the curvature of each image.

    The first column is the slice itself, the others are its derivatives by all coordinates that do not act through
    the CTF. Those that do act on the model as real functions of frequency times its quadrature.
    """
    flat = columns.flatten(2)
    gram = (columns * chunk.power[:, None, :, None]).flatten(2) @ flat.transpose(1, 2)
    cross = (flat @ _flat(chunk.data)[..., None]).squeeze(-1)
    through = _through_ctf(images)
    if chunk.by_phase is not None:
        model, change = columns[:, 0], chunk.by_phase
        wave = (model * (change.power_slope / 2)[..., None])[..., None] * through[:, None]
        mixed = flat @ wave.flatten(1, 2)
        both = (model.square().sum(-1) * change.power_curvature) @ _products(through)
        slope = ((model * torch.view_as_real(change.data_slope)).sum(-1)) @ through
    else:
        mixed = flat.new_zeros(*flat.shape[:2], 1)
        both, slope = mixed[:, 0], mixed[:, 0]
    cross = torch.cat([cross, slope], 1)
    gram = torch.cat(
        [
            torch.cat([gram, mixed], 2),
            torch.cat([mixed.transpose(1, 2), both.unflatten(1, (slope.shape[1], -1))], 2),
        ],
        1,
    )
    order = _order(images)
    gram = gram[:, order][:, :, order]
    rows = [cross[:, :1], gram[:, 0, :1], cross[:, order[1:]], gram[:, 0, 1:], gram[:, 1:, 1:].flatten(1)]
    return torch.cat(rows, 1).double() * (2 / images.pixels.area_square_angstrom)


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


def _flat(values: Complex[Tensor, "image pixel"]) -> Float[Tensor, "image component"]:
    return torch.view_as_real(values).flatten(1)


def _columns(
    values: Float[Tensor, "image pixel channel"],
    images: ParticleImages,
    view: View,
    particle: Int[Tensor, " image"],
    tilt: Int[Tensor, " image"],
) -> Float[Tensor, "image column pixel part"]:
    """Compute the slice and its derivatives by shift, rotation in the image frame, odd aberrations, magnification.

    A rotation by omega from the left turns V(Rᵀq) into V(Rᵀ(q - omega x q)), where q = M k is magnified.
    """
    frequency = images.pixels.frequency
    model, slope = values[..., :2], values[..., 2:].unflatten(-1, (3, 2))
    gx, gy, gz = torch.einsum("bij,bpjc->ibpc", view.rotation[particle, tilt].float(), slope)
    kx, ky = frequency[:, 0, None], frequency[:, 1, None]
    turned = 2 * torch.pi * torch.stack([model[..., 1], -model[..., 0]], -1)
    qx, qy = _magnified(frequency, view.magnification[tilt].float())
    columns = [model, kx * turned, ky * turned, -qy * gz, qx * gz, qy * gx - qx * gy]
    if images.watched is not None:
        columns += [odd[:, None] * turned / (2 * torch.pi) for odd in images.watched.odd.T]
        if MAGNIFICATION.start in images.watched.coordinates:
            columns += [k * g for g in (gx, gy) for k in (kx, ky)]
    return torch.stack(columns, 1)


def _magnified(
    frequency: Float[Tensor, "pixel 2"], magnification: Float[Tensor, "image 2 2"]
) -> tuple[Float[Tensor, "*image pixel 1"], Float[Tensor, "*image pixel 1"]]:
    """Frequencies x and y that the images' pixels stand for; without an image axis where nothing is magnified."""
    if torch.equal(magnification, torch.eye(2, device=magnification.device).expand_as(magnification)):
        return frequency[:, 0, None], frequency[:, 1, None]
    plane = frequency @ magnification.transpose(1, 2)
    return plane[..., 0, None], plane[..., 1, None]
