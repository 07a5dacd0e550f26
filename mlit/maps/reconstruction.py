"""Maps from particle images: insertion into Fourier sums and division by the weights."""

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mlit.deformation.local_coordinates import View
from mlit.fourier.centred import centred_irfft3
from mlit.fourier.insertion import FourierSums, insert
from mlit.fourier.shells import frequency_radius, shell_index, shell_mean
from mlit.geometry.map_symmetry import Symmetry
from mlit.likelihood.particle_images import ParticleImages
from mlit.maps.helical import wind
from mlit.maps.symmetrise import fall_off, symmetrise
from mlit.parallel import run_pieces

POINTS_PER_CHUNK = 1 << 18
GPU_POINTS_PER_CHUNK = 1 << 22
VOXELS_PER_POINT = 16  # at most: every chunk passes over all voxels once


def insert_particles(
    sums: FourierSums,
    images: ParticleImages,
    view: View,
    group: Int[Tensor, " particle"],
    amplitude: Float[Tensor, " tilt"],
    weight: Float[Tensor, "particle tilt"],
) -> None:
    """Add all images of a series to the sums, in place.

    An image shows the molecule on the two Ewald spheres (:mod:`mlit.optics.ewald`). Where the images know them, the
    adjoint of the image is put on both, each with half the weight: what one sphere adds to the other's place has a
    phase 2γ, which differs from image to image, or leaves the box where the defocus is high. Where both spheres show
    the same it is exactly what a flat slice gives.

    Parameters
    ----------
    sums
        Sums to add to.
    images
        Premultiplied images, cut at the positions of ``view`` with the box of the map.
    view
        Orientation and defocus of every image.
    group
        Group of the sums that each particle goes to.
    amplitude
        Amplitude of the signal in each tilt; zero leaves a tilt out.
    weight
        How much each image counts besides; zero leaves it out.
    """
    tilts = images.valid.shape[1]
    seen = images.valid & (amplitude > 0) & (weight > 0)
    step = max(1, _points_at_once(sums) // images.pixels.count)

    def add(target: int) -> None:
        which = (seen & (group == target)[:, None]).flatten().nonzero().squeeze(1)
        for part in which.split(step):
            particle, tilt = part // tilts, part % tilts
            scale, share = amplitude[tilt, None].to(images.slope), weight[particle, tilt, None].to(images.slope)
            even, _ = images.power_waves(view.defocus_um, particle, tilt)
            factor = images.place_factor(particle, tilt)
            scale = scale if factor is None else scale * factor
            power = (images.power[tilt] - even) / 2 * (share * scale.square())
            frames, data = view.frames(particle, tilt), images.data[particle, tilt] * (share * scale)
            if images.height is None:
                insert(sums, target, frames, data, power, images.pixels)
            else:
                turned = images.quadrature[particle, tilt] * (1j * share * scale)
                insert(sums, target, frames, (data + turned) / 2, power / 2, images.pixels, images.height)
                insert(sums, target, frames, (data - turned) / 2, power / 2, images.pixels, -images.height)

    run_pieces(add, group.unique().tolist(), sums.rows.device)


def _points_at_once(sums: FourierSums) -> int:
    """How many pixels of images are best inserted together."""
    if sums.rows.device.type != "cpu":
        return GPU_POINTS_PER_CHUNK
    return max(POINTS_PER_CHUNK, sums.rows.shape[1] // VOXELS_PER_POINT)


def combine(
    sums: FourierSums, groups: list[int], symmetry: Symmetry
) -> tuple[Complex[Tensor, "kz ky kx"], Float[Tensor, "kz ky kx"]]:
    """Add groups of sums, complete them by Friedel's law and sum them over the operators of a symmetry.

    Returns
    -------
    Data and weight in the layout of a centred ``rfftn``.
    """
    rows = sums.rows[groups].sum(0) if len(groups) > 1 else sums.rows[groups[0]].clone()
    grid = rows.reshape(sums.size, sums.size, -1, 3)
    _complete(grid)
    if len(symmetry) > 1:
        grid = symmetrise(grid, symmetry, sums.length_angstrom)
    radius = torch.fft.fftshift(frequency_radius(sums.size, 3, grid.device), dim=(0, 1))
    grid /= radius.clamp_(min=1)[..., None]
    data = torch.fft.ifftshift(torch.complex(grid[..., 0], grid[..., 1]), dim=(0, 1))
    return data, torch.fft.ifftshift(grid[..., 2], dim=(0, 1))


def _complete(grid: Float[Tensor, "z y x 3"]) -> None:
    """Add to the plane kx = 0 what was inserted at the Friedel mates of its voxels, in place."""
    plane = grid[:, :, 0]
    plane += torch.roll(plane.flip(0, 1), (1, 1), (0, 1)) * plane.new_tensor([1.0, -1.0, 1.0])


def density(
    sums: FourierSums,
    groups: list[int],
    symmetry: Symmetry,
    prior: Float[Tensor, " shell"] | None = None,
) -> Float[Tensor, "z y x"]:
    """Map of some groups of particles.

    Parameters
    ----------
    sums
        Sums of all images.
    groups
        Groups that take part.
    symmetry
        Of the map.
    prior
        Inverse signal power of each shell in the units of the weight; with it the map is the posterior mean.
        Without it the division is plain, with a floor of a thousandth of the mean weight of the shell.

    Returns
    -------
    Map of the size and pixel size of the sums, zero beyond their resolution.
    """
    data, weight = combine(sums, groups, symmetry)
    return divide(data, weight, sums, symmetry, prior)


def divide(
    data: Complex[Tensor, "kz ky kx"],
    weight: Float[Tensor, "kz ky kx"],
    sums: FourierSums,
    symmetry: Symmetry,
    prior: Float[Tensor, " shell"] | None = None,
) -> Float[Tensor, "z y x"]:
    """Map from combined data and weights; see :func:`density`."""
    size, shell = sums.size, shell_index(sums.size, device=weight.device)
    least = 1e-3 * shell_mean(weight, size) if prior is None else prior.to(weight)
    least = F.pad(least, (0, 1))
    spectrum = torch.empty_like(data)

    def fill(planes: Tensor) -> None:
        of_shell, heavy = least[shell[planes].long()], weight[planes]
        denominator = heavy.maximum(of_shell) if prior is None else heavy + of_shell
        inside = (shell[planes] <= sums.last_shell) & (denominator > 0)
        spectrum[planes] = torch.where(inside, data[planes] / denominator.clamp(min=1e-30), 0)

    step = max(1, POINTS_PER_CHUNK // size**2)
    run_pieces(fill, torch.arange(size, device=weight.device).split(step), weight.device)
    volume = centred_irfft3(spectrum, size)
    volume /= sums.pixel_size_angstrom**3
    volume /= fall_off(size, symmetry, sums.length_angstrom, weight.device)
    return volume if symmetry.helix is None else wind(volume, symmetry.helix, sums.pixel_size_angstrom)
