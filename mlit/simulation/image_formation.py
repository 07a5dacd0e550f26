"""From projected potential to the contrast of an image: CTF, dose damage, patches, background."""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.optics.ctf import Optics
from mlit.optics.dose import bfactor_envelope
from mlit.optics.wavelength import electron_wavelength_angstrom
from mlit.simulation.crowding import CrowdView
from mlit.simulation.splat import PatchGrid, fast_even_size, project_structure, splat_points
from mlit.simulation.splat_kernel import SplatKernel
from mlit.simulation.structure import Structure
from mlit.simulation.transfer import TiltTransfer

_CROWD_KERNEL = SplatKernel(4)


def delocalisation_angstrom(optics: Optics, defocus_um: float, pixel_size_angstrom: float) -> float:
    """Return how far the CTF moves signal at the band's corner: |dγ/dk| / 2π = λ k |Δf − C_s λ² k²|."""
    wavelength = float(electron_wavelength_angstrom(optics.voltage_kv))
    frequency = math.sqrt(0.5) / pixel_size_angstrom
    spherical = float(optics.cs_mm) * 1e7 * wavelength**2 * frequency**2
    return wavelength * frequency * max(abs(defocus_um) * 1e4, spherical)


def patch_size(structure: Structure, optics: Optics, defocus_um: float, pixel_size_angstrom: float) -> int:
    """Even patch size in pixels within which the molecule's delocalised image does not wrap around."""
    reach = structure.diameter_angstrom / 2 + delocalisation_angstrom(optics, defocus_um, pixel_size_angstrom)
    return fast_even_size(2 * reach / pixel_size_angstrom + 16)


def particle_image(
    structure: Structure,
    rotation: Float[Tensor, "particle 3 3"],
    xy_angstrom: Float[Tensor, "particle 2"],
    defocus_um: Float[Tensor, " particle"],
    transfer: TiltTransfer,
    image: PatchGrid,
    strength: Float[Tensor, "particle 2"] | None = None,
) -> Float[Tensor, "y x"]:
    """Projected potential of all particles after CTF and dose damage, in V Å per pixel.

    ``strength`` is the amplitude and the B factor of each particle besides.

    Each particle is projected at its exact place into a patch that is large enough for its CTF, and patches
    are summed; positive means what would be bright in an image of inverted contrast.
    """
    pixel = image.pixel_size_angstrom
    size = patch_size(structure, transfer.optics, float(defocus_um.abs().max()), pixel)
    patch = PatchGrid(size, size, pixel)
    centre = torch.floor(xy_angstrom / pixel).long()
    offset = xy_angstrom - centre * pixel
    spectrum = project_structure(structure, rotation, offset, patch, magnification=transfer.magnification)
    spectrum = spectrum * transfer.on_grid(patch, defocus_um)
    if strength is not None:
        amplitude, bfactor = strength[..., None, None].unbind(1)
        spectrum = spectrum * (amplitude * bfactor_envelope(patch.frequency_xy().norm(dim=-1), bfactor)).float()
    patches = torch.fft.irfft2(spectrum, s=(size, size))
    canvas = torch.zeros(image.height + 2 * size, image.width + 2 * size)
    for number, (x, y) in enumerate((centre + size - size // 2).tolist()):
        if 0 <= x <= image.width + size and 0 <= y <= image.height + size:
            canvas[y : y + size, x : x + size] += patches[number]
    return canvas[size:-size, size:-size]


def crowd_image(
    view: CrowdView, structure: Structure, transfer: TiltTransfer, image: PatchGrid, margin_angstrom: float
) -> Float[Tensor, "y x"]:
    """Background of crowding molecules in V Å per pixel.

    Parameters
    ----------
    view
        Beads in this tilt.
    structure
        Any of the crowd's shapes, for the beads' Gaussian width.
    transfer
        CTF and damage.
    image
        Output grid.
    margin_angstrom
        Border around the image that takes up what the CTF spreads beyond the edges.
    """
    pixel = image.pixel_size_angstrom
    border = 2 * math.ceil(margin_angstrom / pixel)
    canvas = PatchGrid(fast_even_size(image.height + border), fast_even_size(image.width + border), pixel)
    top, left = (canvas.height - image.height) // 2, (canvas.width - image.width) // 2
    corner = torch.tensor([left - canvas.width // 2, top - canvas.height // 2]) * pixel
    beads = replace(view.beads, xy_angstrom=view.beads.xy_angstrom + corner)
    layers = splat_points(beads, len(view.layer_defocus_um), canvas, _CROWD_KERNEL)
    spectrum = (layers * transfer.on_grid(canvas, view.layer_defocus_um)).sum(0)
    spectrum = spectrum * structure.envelope((canvas.frequency_xy() ** 2).sum(-1))[0].float()
    whole = torch.fft.irfft2(spectrum, s=(canvas.height, canvas.width))
    return whole[top : top + image.height, left : left + image.width]
