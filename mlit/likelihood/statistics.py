"""One pass over the images: log-likelihood, gradient and curvature in local coordinates."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mlit.deformation.local_coordinates import View
from mlit.fourier.slices import ReferenceTable, slices
from mlit.likelihood.particle_images import ParticleImages
from mlit.parallel import run_pieces

# Images in one chunk times pixels: keeps the temporaries of a pass inside the caches of a CPU core.
CPU_POINTS_PER_CHUNK = 1 << 17
GPU_POINTS_PER_CHUNK = 1 << 24


@dataclass(frozen=True)
class LocalStatistics:
    """What the images say about a view, to second order, for any amplitude of the reference.

    With the reference scaled by a in a tilt, the log-likelihood of an image is ``a cross - a² power / 2``,
    its gradient ``a cross_slope - a² power_slope`` and its Gauss-Newton curvature ``a² curvature``.

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
    cross_slope: Float[Tensor, "particle tilt 6"]
    power_slope: Float[Tensor, "particle tilt 6"]
    curvature: Float[Tensor, "particle tilt 6 6"]

    def log_likelihood(self, amplitude: Float[Tensor, " tilt"]) -> Float[Tensor, "particle tilt"]:
        """Log-likelihood of every image for given amplitudes."""
        return amplitude * self.cross - amplitude.square() * self.power / 2

    def gradient(self, amplitude: Float[Tensor, " tilt"]) -> Float[Tensor, "particle tilt 6"]:
        """Gradient of the log-likelihood for given amplitudes."""
        a = amplitude[:, None]
        return a * self.cross_slope - a.square() * self.power_slope


@dataclass(frozen=True)
class _ByDefocus:
    """Derivatives by defocus: of the data, of the power, and the square of the CTF's over noise."""

    data_slope: Complex[Tensor, "image pixel"]
    power_slope: Float[Tensor, "image pixel"]
    power_curvature: Float[Tensor, "image pixel"]


@dataclass(frozen=True)
class _Chunk:
    """A few images at the view in question, phases and defocus already brought up to date."""

    data: Complex[Tensor, "image pixel"]
    power: Float[Tensor, "image pixel"]
    by_defocus: _ByDefocus | None = None


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
    out = torch.zeros(particles * tilts, 50, dtype=torch.float64, device=device)
    limit = CPU_POINTS_PER_CHUNK if device.type == "cpu" else GPU_POINTS_PER_CHUNK

    def look_at(part: Tensor) -> None:
        particle, tilt = part // tilts, part % tilts
        chunk = _bring_up_to_date(images, view, particle, tilt)
        values = slices(table, map_index[particle], view.rotation[particle, tilt], images.pixels)
        out[part] = _second_order(values, chunk, view.rotation[particle, tilt].float(), images)

    run_pieces(look_at, which.split(max(1, limit // images.pixels.count)), device)
    out = out.reshape(particles, tilts, 50)
    curvature = out[..., 14:].reshape(particles, tilts, 6, 6)
    return LocalStatistics(out[..., 0], out[..., 1], out[..., 2:8], out[..., 8:14], curvature)


def _bring_up_to_date(images: ParticleImages, view: View, particle: Tensor, tilt: Tensor) -> _Chunk:
    """Undo the present shift on the data and move data and power to the present defocus."""
    shift = (view.xy_angstrom - images.xy_angstrom)[particle, tilt].float()
    phase = (2 * torch.pi * shift) @ images.pixels.frequency.T
    turn = torch.polar(torch.ones_like(phase), phase)
    data = images.data[particle, tilt] * turn
    even, odd = images.power_waves(view.defocus_um, particle, tilt)
    power = (images.power[tilt] - even) / 2
    if not images.has_quadrature:
        return _Chunk(data, power)
    moved = (view.defocus_um - images.defocus_um)[particle, tilt].float()[:, None] * images.slope
    cos_d, sin_d = torch.cos(moved), torch.sin(moved)
    quadrature = images.quadrature[particle, tilt] * turn
    by_defocus = _ByDefocus(
        images.slope * (quadrature * cos_d - data * sin_d),
        images.slope * odd,
        images.slope.square() * (images.power[tilt] + even) / 2,
    )
    return _Chunk(data * cos_d + quadrature * sin_d, power, by_defocus)


def _second_order(
    values: Float[Tensor, "image pixel channel"],
    chunk: _Chunk,
    rotation: Float[Tensor, "image 3 3"],
    images: ParticleImages,
) -> Float[Tensor, "image 50"]:
    """Cross term, power, their slopes (6 each) and the curvature (36) of each image."""
    columns = _model_and_derivatives(values, rotation, images.pixels.frequency)
    flat = columns.flatten(2)
    gram = (columns * chunk.power[:, None, :, None]).flatten(2) @ flat.transpose(1, 2)
    cross = (flat @ _flat(chunk.data)[..., None]).squeeze(-1)
    cross_slope = F.pad(cross[:, 1:], (0, 1))
    power_slope = F.pad(gram[:, 0, 1:], (0, 1))
    curvature = F.pad(gram[:, 1:, 1:], (0, 1, 0, 1))
    if chunk.by_defocus is not None:
        model, change = columns[:, 0], chunk.by_defocus
        mixed = (flat @ (model * change.power_slope[..., None]).flatten(1)[..., None]).squeeze(-1) / 2
        cross_slope[:, 5] = (model.flatten(1) * _flat(change.data_slope)).sum(1)
        power_slope[:, 5] = mixed[:, 0]
        curvature[:, 5, :5] = curvature[:, :5, 5] = mixed[:, 1:]
        curvature[:, 5, 5] = (model.square().sum(-1) * change.power_curvature).sum(1)
    rows = torch.cat([cross[:, :1], gram[:, 0, :1], cross_slope, power_slope, curvature.flatten(1)], 1)
    return rows.double() * (2 / images.pixels.area_square_angstrom)


def _flat(values: Complex[Tensor, "image pixel"]) -> Float[Tensor, "image component"]:
    return torch.view_as_real(values).flatten(1)


def _model_and_derivatives(
    values: Float[Tensor, "image pixel channel"],
    rotation: Float[Tensor, "image 3 3"],
    frequency: Float[Tensor, "pixel 2"],
) -> Float[Tensor, "image column pixel part"]:
    """Compute the slice and its derivatives by shift (x, y) and by rotation in the image frame (x, y, z).

    A rotation by omega from the left turns V(Rᵀk) into V(Rᵀ(k - omega x k)).
    """
    model, slope = values[..., :2], values[..., 2:].unflatten(-1, (3, 2))
    gx, gy, gz = torch.einsum("bij,bpjc->ibpc", rotation, slope)
    kx, ky = frequency[:, 0, None], frequency[:, 1, None]
    turned = 2 * torch.pi * torch.stack([model[..., 1], -model[..., 0]], -1)
    return torch.stack([model, kx * turned, ky * turned, -ky * gz, kx * gz, ky * gx - kx * gy], 1)
