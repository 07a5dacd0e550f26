"""Noise power of the tilt images, measured around the particles."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mlit.fourier.shells import spectral_power
from mlit.likelihood.patches import cut_patches
from mlit.parallel import run_pieces

BINS = 48
PATCH_PIXELS_PER_CHUNK = 1 << 21  # of patches transformed at once


def noise_power(
    images: Float[Tensor, "tilt y x"],
    xy_pixels: Float[Tensor, "particle tilt 2"],
    box: int,
    lit: Bool[Tensor, "particle tilt"] | None = None,
) -> Float[Tensor, "tilt bin"]:
    """Radial power spectrum of each tilt, averaged over boxes centred on the particles.

    White noise of variance one has power one in every bin. The signal of the particles is part of the
    estimate; in images of cells it is a few per cent of the power.

    Parameters
    ----------
    images
        Normalised tilt images.
    xy_pixels
        Particle positions; boxes that leave the image are moved back inside.
    box
        Side of the boxes in pixels.
    lit
        Particles to measure around; all where it is None, and in tilts that have none.

    Returns
    -------
    Power in ``BINS`` bins from zero to the Nyquist frequency.
    """
    height, width = images.shape[1:]
    box = min(box, height // 2 * 2, width // 2 * 2)
    taper = torch.hann_window(box, periodic=False, device=images.device)
    window = taper[:, None] * taper
    bins = radial_bins(box, images.device)
    counts = torch.bincount(bins.flatten(), minlength=BINS)
    counts[0] -= 1  # the mean of a patch is taken away

    def spectrum(tilt: int) -> Tensor:
        upper = xy_pixels.new_tensor([width, height]) - box // 2
        used = xy_pixels[:, tilt]
        if lit is not None and lit[:, tilt].any():
            used = used[lit[:, tilt]]
        centre = used.clamp(min=box // 2).minimum(upper).round().long()
        power = window.new_zeros(box, box // 2 + 1)
        for part in centre.split(max(1, PATCH_PIXELS_PER_CHUNK // box**2)):
            patches = cut_patches(images[tilt], part, box)
            patches = (patches - patches.mean((1, 2), keepdim=True)) * window
            power += spectral_power(torch.fft.rfft2(patches)).sum(0)
        power /= len(centre) * window.square().sum()
        return torch.bincount(bins.flatten(), power.flatten(), minlength=BINS) / counts.clamp(min=1)

    spectra = run_pieces(spectrum, range(len(images)), images.device)
    return _smooth(_fill(torch.stack(spectra)[:, :BINS], counts[:BINS] > 0))


def radial_bins(box: int, device: torch.device) -> Tensor:
    """Bin of every pixel of an ``rfft2`` array; beyond the Nyquist circle the last bin."""
    ky = torch.fft.fftfreq(box, device=device)[:, None]
    kx = torch.fft.rfftfreq(box, device=device)[None]
    return (torch.hypot(ky, kx) * 2 * BINS).long().clamp(max=BINS - 1)


def interpolate_power(
    power: Float[Tensor, "tilt bin"], frequency: Float[Tensor, "*grid"]
) -> Float[Tensor, "tilt *grid"]:
    """Noise power at spatial frequencies given in cycles per pixel, linear between bin centres."""
    position = (frequency * 2 * BINS - 0.5).clamp(0, BINS - 1.001)
    low = position.long()
    part = (position - low).to(power.dtype)
    return power[:, low] * (1 - part) + power[:, low + 1] * part


def _fill(power: Float[Tensor, "tilt bin"], known: Bool[Tensor, " bin"]) -> Float[Tensor, "tilt bin"]:
    """Interpolate over bins that hold no pixel: in small boxes bins are finer than pixels at low frequency.

    Left at the floor, they would weigh these frequencies a thousandfold, and images would be all background.
    """
    filled = known.nonzero().squeeze(1)
    every = torch.arange(BINS, device=power.device)
    upper = torch.searchsorted(filled, every).clamp(1, len(filled) - 1)
    low, high = filled[upper - 1], filled[upper]
    part = ((every - low) / (high - low)).clamp(0, 1).to(power.dtype)
    return power[:, low] * (1 - part) + power[:, high] * part


def _smooth(power: Float[Tensor, "tilt bin"]) -> Float[Tensor, "tilt bin"]:
    """Average the logarithm over three bins; a floor guards filtered images with empty bands."""
    floor = 1e-3 * power.median(1, keepdim=True).values.clamp(min=1e-6)
    log = power.maximum(floor).log()
    padded = torch.cat([log[:, :1], log, log[:, -1:]], 1)
    return torch.exp((padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3)
