"""The model of particle images and its derivatives by all coordinates that do not act through the CTF.

An image shows ``-sin γ A - cos γ B``. For flat slices A is the slice P and B is nothing. With the curvature of the
Ewald sphere (:mod:`mlit.optics.ewald`), A is the mean S of the two curved slices and B is -i D, with D half their
difference. Columns hold two parts in the first case, the real and imaginary part of A, and four in the second, those
of B after those of A.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mlit.deformation.local_coordinates import Coordinate, View
from mlit.fourier.slices import ReferenceTable, slices
from mlit.likelihood.particle_images import ParticleImages

MAGNIFICATION = Coordinate.MAGNIFICATION.value


def model_columns(
    images: ParticleImages,
    view: View,
    table: ReferenceTable,
    map_index: Int[Tensor, " image"],
    particle: Int[Tensor, " image"],
    tilt: Int[Tensor, " image"],
) -> Float[Tensor, "image part column pixel"]:
    """Compute the model of some images and its derivatives by shift, rotation, odd aberrations, magnification.

    All columns are written in a frame turned by -i, in which the factors of the derivatives are real.

    Parameters
    ----------
    images
        Premultiplied images; say which pixels and coordinates matter, and whether slices are curved.
    view
        Where the particles are.
    table
        Reference transforms with gradients.
    map_index
        The map of ``table`` for each image.
    particle, tilt
        Which images.
    """

    def at(height: Tensor | None) -> Tensor:
        values = slices(table, map_index, view.frames(particle, tilt), images.pixels, height)
        return _columns(values, images, view, particle, tilt, height)

    return _on_spheres(at, images, particle, tilt)


def model_alone(
    images: ParticleImages,
    view: View,
    table: ReferenceTable,
    map_index: Int[Tensor, " image"],
    particle: Int[Tensor, " image"],
    tilt: Int[Tensor, " image"],
) -> Float[Tensor, "image part pixel"]:
    """Compute the first column of :func:`model_columns`; needs no derivatives in the table."""

    def at(height: Tensor | None) -> Tensor:
        values = slices(table, map_index, view.frames(particle, tilt), images.pixels, height)[:, :, 0]
        return torch.stack([values[:, 1], -values[:, 0]], 1)

    return _on_spheres(at, images, particle, tilt)


def _on_spheres(
    at: Callable[[Float[Tensor, " pixel"] | None], Float[Tensor, "image 2 *column pixel"]],
    images: ParticleImages,
    particle: Int[Tensor, " image"],
    tilt: Int[Tensor, " image"],
) -> Float[Tensor, "image part *column pixel"]:
    """Take slices on both curved spheres, or on the plane where there is no curvature, as strong as at their places."""
    if images.height is None:
        values = at(None)
    else:
        upper, lower = at(images.height), at(-images.height)
        difference = upper - lower
        values = torch.stack([*(upper + lower).unbind(1), difference[:, 1], -difference[:, 0]], 1) / 2
    factor = images.place_factor(particle, tilt)
    if factor is None:
        return values
    return values * factor.reshape(len(factor), *[1] * (values.dim() - 2), -1)


def _columns(
    values: Float[Tensor, "image part quantity pixel"],
    images: ParticleImages,
    view: View,
    particle: Int[Tensor, " image"],
    tilt: Int[Tensor, " image"],
    height: Float[Tensor, " pixel"] | None,
) -> Float[Tensor, "image part column pixel"]:
    """Compute a slice and its derivatives.

    A rotation by omega from the left turns V(Rᵀq) into V(Rᵀ(q - omega x q)), where q = (M k, kz) is magnified, and
    the derivatives of V are i times the moments of the table. So are those by shift and odd phases real functions
    times -i P.
    """
    frequency = images.pixels.frequency
    (kx, ky), (qx, qy) = frequency.T, _magnified(frequency, view.magnification[tilt])
    model = values[:, :, 0]
    moment = view.rotation[particle, tilt, None].to(values) @ values[:, :, 1:]
    gx, gy, gz = moment.unbind(2)
    odd = () if images.watched is None else images.watched.odd.T
    stretches = images.watched is not None and MAGNIFICATION.start in images.watched.coordinates
    columns = values.new_empty(len(values), 2, 6 + len(odd) + 4 * stretches, len(kx))
    columns[:, 0, 0], columns[:, 1, 0] = model[:, 1], -model[:, 0]
    for place, function in enumerate((2 * torch.pi * kx, 2 * torch.pi * ky), 1):
        torch.mul(model, -function, out=columns[:, :, place])
    torch.mul(gz, -qy, out=columns[:, :, 3])
    torch.mul(gz, qx, out=columns[:, :, 4])
    torch.sub(gx * qy, gy * qx, out=columns[:, :, 5])
    if height is not None:
        columns[:, :, 3] += gy * height
        columns[:, :, 4] -= gx * height
    for place, function in enumerate(odd, 6):
        torch.mul(model, -function, out=columns[:, :, place])
    if stretches:
        for place, (k, g) in enumerate(((kx, gx), (ky, gx), (kx, gy), (ky, gy)), 6 + len(odd)):
            torch.mul(g, k, out=columns[:, :, place])
    return columns


def _magnified(
    frequency: Float[Tensor, "pixel 2"], magnification: Float[Tensor, "image 2 2"]
) -> tuple[Float[Tensor, "*image pixel"], Float[Tensor, "*image pixel"]]:
    """Frequencies x and y that the images' pixels stand for; without image axes where nothing is magnified."""
    if torch.equal(magnification, torch.eye(2).to(magnification).expand_as(magnification)):
        return frequency[:, 0], frequency[:, 1]
    plane = frequency @ magnification.transpose(1, 2).to(frequency)
    return plane[:, None, :, 0], plane[:, None, :, 1]
