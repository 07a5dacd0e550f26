"""Tilt images of one series, normalised and with their noise known."""

from dataclasses import dataclass, field, replace

import scipy.fft
import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from mlit.fourier.resize import resize_spectrum
from mlit.likelihood.noise import interpolate_power
from mlit.likelihood.shade import Shade
from mlit.likelihood.signal_weights import SignalWeights
from mlit.parallel import run_pieces


@dataclass(frozen=True)
class TiltImages:
    """Normalised tilt images and what weighs them.

    Attributes
    ----------
    pixels
        Images with mean zero, variance one and bright molecules. They may be held in a shorter type than the 32-bit
        floats in which they are worked on.
    pixel_size_angstrom
        Their pixel size.
    noise
        Noise power, see :func:`mlit.likelihood.noise.noise_power`.
    dose
        Exposure before each tilt, e/Å².
    weights
        Strength of the signal in them.
    shade
        Parts of the images that cannot be used.
    spectra
        Their transforms, where they were made already.
    """

    pixels: Float[Tensor, "tilt y x"]
    pixel_size_angstrom: float
    noise: Float[Tensor, "tilt bin"]
    dose: Float[Tensor, " tilt"]
    weights: SignalWeights = field(default_factory=SignalWeights)
    shade: Shade | None = None
    spectra: "TiltSpectra | None" = None

    def lit(self, xy_angstrom: Float[Tensor, "particle tilt 2"]) -> Bool[Tensor, "particle tilt"]:
        """Whether places in the images can be used."""
        if self.shade is None:
            return torch.ones(xy_angstrom.shape[:2], dtype=torch.bool, device=xy_angstrom.device)
        return ~self.shade.at(xy_angstrom / self.pixel_size_angstrom)

    def envelope(self, frequency: Float[Tensor, "*grid"]) -> Float[Tensor, "tilt *grid"]:
        """Amplitude of the signal that is left at frequencies in 1/Å, its mean over directions."""
        return self.weights.decay(frequency, self.dose)

    def flat(self) -> "TiltImages":
        """Return the same images as if the signal were equally strong in all tilts, at all frequencies and places."""
        return replace(self, dose=torch.zeros_like(self.dose), weights=SignalWeights())

    def to(self, device: torch.device) -> "TiltImages":
        """Copy on a device, without transforms; what is looked up for single particles stays on the CPU."""
        pixels = self.pixels.to(device, non_blocking=self.pixels.is_pinned())
        return replace(self, pixels=pixels, noise=self.noise.to(device), dose=self.dose.to(device), spectra=None)

    @property
    def side(self) -> int:
        """Side in pixels of the square that the images are padded to."""
        return even_fast_size(max(self.pixels.shape[1:]))

    def side_for(self, resolution_angstrom: float) -> int:
        """Side in pixels of the square sampled as coarsely as detail of a resolution allows, with some room."""
        return min(self.side, even_fast_size(self.side * self.pixel_size_angstrom / (resolution_angstrom / 2) * 1.05))

    def transformed(self, resolution_angstrom: float) -> "TiltImages":
        """Return the same images with their transforms up to a resolution, for whoever weighs them more than once."""
        size = self.side_for(resolution_angstrom)
        shape = (len(self.pixels), size, size // 2 + 1)
        values = torch.empty(shape, dtype=torch.complex64, device=self.pixels.device)

        def fill(tilt: int) -> None:
            values[tilt] = self.spectrum(tilt, size)

        run_pieces(fill, range(len(values)), values.device)
        return replace(self, spectra=TiltSpectra(values, size))

    def spectrum(self, tilt: int, size: int) -> Complex[Tensor, "ky kx"]:
        """Transform of one padded image, cropped to that of ``size`` pixels."""
        if self.spectra is not None and self.spectra.size >= size:
            return resize_spectrum(self.spectra.values[tilt], self.spectra.size, size, 2)
        return resize_spectrum(torch.fft.rfft2(self.pixels[tilt].float(), s=(self.side, self.side)), self.side, size, 2)

    def tilt(self, index: int) -> "TiltImages":
        """One tilt alone."""
        one = slice(index, index + 1)
        weights = self.weights.tilt(index)
        return TiltImages(self.pixels[one], self.pixel_size_angstrom, self.noise[one], self.dose[one], weights)

    def noise_density(self, frequency: Float[Tensor, "*grid"]) -> Float[Tensor, "tilt *grid"]:
        """Noise power density (Å²) at frequencies in 1/Å."""
        power = interpolate_power(self.noise, frequency * self.pixel_size_angstrom)
        return power * self.pixel_size_angstrom**2


@dataclass(frozen=True)
class TiltSpectra:
    """Transforms of tilt images, which are padded to a square, cropped at some frequency.

    Attributes
    ----------
    values
        In the layout of ``rfft2``.
    size
        Side in pixels of the squares that they are the transforms of.
    """

    values: Complex[Tensor, "tilt ky kx"]
    size: int


@dataclass(frozen=True)
class WeightedImages:
    """Tilt images times their signal envelope over their noise power density, sampled as coarsely as needed.

    Attributes
    ----------
    pixels
        Filtered images; pixel (0, 0) is the corner of the tilt image, zeros pad the far ends to a square.
    pixel_size_angstrom
        Pixel size.
    """

    pixels: Float[Tensor, "tilt y x"]
    pixel_size_angstrom: float


def normalise(images: Float[Tensor, "tilt y x"], shade: Shade | None = None) -> Float[Tensor, "tilt y x"]:
    """Mean zero and variance one with outliers clipped, contrast turned so that molecules are bright.

    Pixels in the shade have no part in mean and variance and become zero.
    """
    out = torch.empty_like(images)

    def fill(tilt: int) -> None:  # a tilt at a time: a series of large images fills the memory
        dark = None if shade is None else shade.pixels(tilt, *images.shape[1:])
        if dark is None or not dark.any():
            out[tilt] = _normalised(images[tilt])
        else:
            out[tilt] = 0
            if not dark.all():
                out[tilt][~dark] = _normalised(images[tilt][~dark])

    run_pieces(fill, range(len(images)), images.device)
    return out


def _normalised(values: Float[Tensor, "*pixel"]) -> Float[Tensor, "*pixel"]:
    """Values with mean zero and variance one, their sign turned."""
    for _ in range(2):
        mean, deviation = values.mean(), values.std()
        values = values.clamp(mean - 5 * deviation, mean + 5 * deviation)
    return (values.mean() - values) / values.std().clamp(min=1e-12)


def weigh(images: TiltImages, resolution_angstrom: float) -> WeightedImages:
    """Filter every image by envelope over noise and crop its transform at a resolution.

    Filtering whole images commutes with cutting boxes out of them, and is done once for all particles.

    Parameters
    ----------
    images
        Normalised images.
    resolution_angstrom
        Finest detail needed; the new Nyquist frequency lies a little beyond it.
    """
    pixel, side, coarse = images.pixel_size_angstrom, images.side, images.side_for(resolution_angstrom)
    device = images.pixels.device
    ky = torch.fft.fftfreq(coarse, pixel * side / coarse, device=device)[:, None]
    kx = torch.fft.rfftfreq(coarse, pixel * side / coarse, device=device)[None]
    frequency, place = torch.hypot(ky, kx).unique(return_inverse=True)
    directional = images.weights.directional(torch.stack(torch.broadcast_tensors(kx, ky), -1))

    out = torch.empty(len(images.pixels), coarse, coarse, device=device)

    def fill(tilt: int) -> None:
        one = images.tilt(tilt)
        weight = (one.envelope(frequency) / one.noise_density(frequency))[0] * (coarse / side) ** 2
        on_grid = weight.index_select(0, place.flatten()).reshape(place.shape)
        if directional is not None:
            on_grid = on_grid * directional[tilt]
        out[tilt] = torch.fft.irfft2(images.spectrum(tilt, coarse) * on_grid, s=(coarse, coarse))

    run_pieces(fill, range(len(out)), device)
    return WeightedImages(out, pixel * side / coarse)


def even_size(length: float) -> int:
    """Smallest even number not below ``length``."""
    return 2 * -int(-length // 2)


def even_fast_size(length: float) -> int:
    """Smallest even number not below ``length`` whose transform is fast."""
    half: int = scipy.fft.next_fast_len(even_size(length) // 2)  # type: ignore[assignment]
    return 2 * half
