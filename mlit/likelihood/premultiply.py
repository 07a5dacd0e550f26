"""Particle images times CTF, made in a box large enough for what defocus delocalises."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from mlit.devices import exact_device
from mlit.fourier.pixels import FourierPixels
from mlit.likelihood.particle_images import ParticleImages, WatchedAberrations
from mlit.likelihood.patches import cut_patches
from mlit.likelihood.tilt_images import TiltImages, WeightedImages, even_fast_size, weigh
from mlit.optics.ctf import Optics
from mlit.optics.ewald import sphere_height
from mlit.optics.wavelength import electron_wavelength_angstrom
from mlit.parallel import run_pieces

ROOM = 1.1  # around the geometric reach, since detail at the limit is not a point
CPU_PIXELS_PER_CHUNK = 1 << 21  # of patches handled at once
GPU_PIXELS_PER_CHUNK = 1 << 24


@dataclass(frozen=True)
class Boxes:
    """Sides of the boxes used to cut out particles, in pixels of the weighted images.

    Attributes
    ----------
    large
        Cut from the image; free of aliasing for the CTF.
    tight
        Kept after multiplication by the CTF.
    """

    large: int
    tight: int


def boxes_for(
    pixel_size_angstrom: float,
    tight_angstrom: float,
    resolution_angstrom: float,
    max_defocus_um: float,
    voltage_kv: float,
) -> Boxes:
    """Box sizes that keep all signal up to a resolution.

    Detail of spacing d is displaced by ``wavelength * defocus / d``; the large box holds the tight one and
    this distance on either side.
    """
    reach = electron_wavelength_angstrom(voltage_kv) * abs(max_defocus_um) * 1e4 / resolution_angstrom
    tight = even_fast_size(tight_angstrom / pixel_size_angstrom)
    large = even_fast_size((tight * pixel_size_angstrom + 2 * ROOM * reach) / pixel_size_angstrom)
    return Boxes(max(large, tight), tight)


@dataclass(frozen=True)
class ImageRequest:
    """What is wanted of particle images.

    Attributes
    ----------
    tight_angstrom
        Side of the box to keep.
    resolution_angstrom
        Finest detail to keep.
    quadrature
        Whether to make the quadrature images that a refinement of the CTF needs.
    coordinates
        Local coordinates that may change afterwards; those of each image itself always may.
    ewald_hand
        +1 where greater depth means more underfocus and the curvature of the Ewald sphere counts, -1 where it means
        less; 0 for flat slices. Curvature takes quadrature images.
    defocus_reach_um
        How much farther from focus than at the cut the images are to be looked at; makes the large box larger.
    """

    tight_angstrom: float
    resolution_angstrom: float
    quadrature: bool = False
    coordinates: Sequence[int] = ()
    ewald_hand: int = 0
    defocus_reach_um: float = 0.0

    @property
    def spectra(self) -> int:
        """Transforms that are made of each image."""
        return 2 if self.quadrature or self.ewald_hand else 1

    def bytes_per_image(self) -> float:
        """Memory that one image takes, about."""
        pixels = (self.tight_angstrom / self.resolution_angstrom) ** 2 * torch.pi / 2
        return self.spectra * pixels * torch.complex64.itemsize


def premultiply(
    images: TiltImages,
    optics: Optics,
    xy_angstrom: Float[Tensor, "particle tilt 2"],
    defocus_um: Float[Tensor, "particle tilt"],
    valid: Bool[Tensor, "particle tilt"],
    request: ImageRequest,
    weighted: WeightedImages | None = None,
) -> ParticleImages:
    """Cut out all particles of a series, multiply them by their CTF and keep the pixels that matter.

    Parameters
    ----------
    images
        Normalised tilt images.
    optics
        Optics of the series.
    xy_angstrom, defocus_um
        Where to cut, and the defocus of each image.
    valid
        Images to make; others stay zero.
    request
        Box, detail and what else to make.
    weighted
        ``weigh(images, request.resolution_angstrom)`` where several calls share it.
    """
    weighted = weighted or weigh(images, request.resolution_angstrom)
    boxes = _boxes(request, weighted.pixel_size_angstrom, optics, defocus_um[valid])
    device = weighted.pixels.device
    exact = exact_device(device)
    optics = optics.to(exact)
    kept = FourierPixels.inside(boxes.tight, weighted.pixel_size_angstrom, request.resolution_angstrom, device)
    data = _Cutter(weighted, optics, boxes, kept).cut_all(request.spectra, xy_angstrom, defocus_um, valid)
    mean = (defocus_um * valid).sum(0) / valid.sum(0).clamp(min=1)
    power, power_cos, power_sin = _power(images, optics, mean, boxes, kept)
    watched = WatchedAberrations.of(optics, request.coordinates, kept)
    sphere = sphere_height(kept.frequency.to(exact), optics.wavelength_angstrom).to(kept.frequency)
    return ParticleImages(
        kept,
        data[0],
        data[1] if len(data) > 1 else data[0, :, :0],
        power,
        power_cos,
        power_sin,
        optics.defocus_slope(kept.frequency.to(exact)).to(kept.frequency),
        xy_angstrom,
        defocus_um,
        mean,
        valid,
        watched if watched.coordinates else None,
        request.ewald_hand * sphere if request.ewald_hand else None,
        images.weights.at_places(xy_angstrom / _field_angstrom(images).to(xy_angstrom)),
    )


def _field_angstrom(images: TiltImages) -> Float[Tensor, "2"]:
    """Sides x, y of the images."""
    height, width = images.pixels.shape[1:]
    return torch.tensor([width, height]) * images.pixel_size_angstrom


def _boxes(
    request: ImageRequest, pixel_size_angstrom: float, optics: Optics, defocus_um: Float[Tensor, " image"]
) -> Boxes:
    """Boxes that serve all images of a request."""
    farthest = float(defocus_um.abs().max()) if len(defocus_um) else 1.0
    farthest += request.defocus_reach_um + float(optics.astigmatism_um.norm(dim=-1).max()) / 2
    detail = request.resolution_angstrom
    return boxes_for(pixel_size_angstrom, request.tight_angstrom, detail, farthest, optics.voltage_kv)


class _Cutter:
    """Cuts boxes, multiplies them by the CTF and crops them.

    The optics lie where phases are computed in double precision.
    """

    def __init__(self, weighted: WeightedImages, optics: Optics, boxes: Boxes, kept: FourierPixels) -> None:
        self.weighted, self.optics, self.boxes, self.kept = weighted, optics, boxes, kept
        frequency = plane_frequency(boxes.large, weighted.pixel_size_angstrom, optics.astigmatism_um.device)
        self.static = optics.static_phase(frequency)
        self.slope = optics.defocus_slope(frequency)
        self.odd = _odd_phasor(optics, frequency, weighted.pixels.device)
        self.frequency = frequency.to(weighted.pixels)
        self.slope_float = self.slope.to(weighted.pixels)
        self.centring = centring_signs(kept)

    def cut_all(self, spectra: int, xy_angstrom: Tensor, defocus_um: Tensor, valid: Tensor) -> Tensor:
        """Return the premultiplied images, and their quadrature as the second of two spectra; others are zero."""
        device = self.weighted.pixels.device
        data = torch.zeros(spectra, *valid.shape, self.kept.count, dtype=torch.complex64, device=device)
        pixels_at_once = CPU_PIXELS_PER_CHUNK if device.type == "cpu" else GPU_PIXELS_PER_CHUNK
        chunk = max(1, pixels_at_once // self.boxes.large**2)

        def cut(tilt: int) -> None:
            seen = valid[:, tilt].nonzero().squeeze(1)
            for part in seen.split(chunk) if len(seen) else ():
                self.cut(data[:, :, tilt], part, tilt, xy_angstrom[part, tilt], defocus_um[part, tilt])

        run_pieces(cut, range(valid.shape[1]), device)
        return data

    def cut(self, out: Tensor, part: Tensor, tilt: int, xy_angstrom: Tensor, defocus_um: Tensor) -> None:
        """Write the premultiplied images of some particles in a tilt, and their quadrature where ``out`` has room.

        ``out`` is "spectrum particle pixel".
        """
        pixel = self.weighted.pixel_size_angstrom
        position = xy_angstrom / pixel
        whole = position.round()
        patches = cut_patches(self.weighted.pixels[tilt], whole.long(), self.boxes.large)
        rest = (position - whole).to(self.frequency) * pixel
        along_x = _phasor(rest[:, 0, None] * self.frequency[0, :, 0])
        along_y = _phasor(rest[:, 1, None] * self.frequency[:, 0, 1])
        spectra = torch.fft.rfft2(patches) * along_y[:, :, None] * along_x[:, None, :]
        if self.odd is not None:
            spectra = spectra * self.odd
        middle = float(defocus_um.mean())
        common = (self.static[tilt] + middle * self.slope).remainder(2 * torch.pi).to(self.slope_float)
        gamma = common + (defocus_um - middle).to(common)[:, None, None] * self.slope_float
        for spectrum, wave in zip(out, (torch.sin, torch.cos), strict=False):
            spectrum[part] = self._crop(spectra * -wave(gamma))

    def _crop(self, spectra: Tensor) -> Tensor:
        large, tight = self.boxes.large, self.boxes.tight
        low = large // 2 - tight // 2
        real = torch.fft.irfft2(spectra, s=(large, large))[:, low : low + tight, low : low + tight]
        values = torch.fft.rfft2(real).flatten(1)[:, self.kept.index]
        return values * (self.centring * self.weighted.pixel_size_angstrom**2)


def _odd_phasor(
    optics: Optics, frequency: Float[Tensor, "ky kx 2"], device: torch.device
) -> Complex[Tensor, "ky kx"] | None:
    """Phase factor that takes the odd aberrations away, or None where there are none."""
    if not optics.zernike_odd_rad.any():
        return None
    return _phasor((optics.odd_phase(frequency) / (2 * torch.pi)).remainder(1).float().to(device))


def _phasor(turns: Tensor) -> Tensor:
    """``exp(2 pi i turns)``."""
    return torch.polar(torch.ones_like(turns), 2 * torch.pi * turns)


def _power(
    images: TiltImages, optics: Optics, defocus_um: Float[Tensor, " tilt"], boxes: Boxes, kept: FourierPixels
) -> tuple[Tensor, Tensor, Tensor]:
    """crop(E), crop(E cos 2 gamma), crop(E sin 2 gamma) of each tilt at its mean defocus."""
    frequency = plane_frequency(boxes.large, kept.pixel_size_angstrom, images.pixels.device)
    radius = frequency.norm(dim=-1)
    envelope = images.envelope(radius).square() / images.noise_density(radius)
    directional = images.weights.directional(frequency)
    if directional is not None:
        envelope = envelope * directional.square()
    exact = frequency.to(optics.astigmatism_um.device)
    gamma = optics.static_phase(exact) + defocus_um.to(exact.device)[:, None, None] * optics.defocus_slope(exact)
    gamma = gamma.remainder(torch.pi).to(frequency) * 2
    kernels = [envelope, envelope * torch.cos(gamma), envelope * torch.sin(gamma)]
    power, cosine, sine = (_crop_kernel(k, boxes, kept) for k in kernels)
    return power, cosine, sine


def _crop_kernel(spectrum: Float[Tensor, "tilt y x"], boxes: Boxes, kept: FourierPixels) -> Tensor:
    """Transform of a real even kernel cropped to the tight box around its origin."""
    kernel = torch.fft.irfft2(spectrum, s=(boxes.large, boxes.large))
    half = boxes.tight // 2
    order = torch.cat([torch.arange(half), torch.arange(boxes.large - half, boxes.large)])
    kernel = kernel[:, order[:, None].to(kernel.device), order.to(kernel.device)]
    return torch.fft.rfft2(kernel).real.flatten(1)[:, kept.index]


def plane_frequency(box: int, pixel_size_angstrom: float, device: torch.device) -> Float[Tensor, "ky kx 2"]:
    """Frequencies (x, y) in 1/Å of an ``rfft2`` array."""
    ky = torch.fft.fftfreq(box, pixel_size_angstrom, device=device)[:, None]
    kx = torch.fft.rfftfreq(box, pixel_size_angstrom, device=device)[None]
    return torch.stack(torch.broadcast_tensors(kx, ky), -1)


def centring_signs(pixels: FourierPixels) -> Float[Tensor, " pixel"]:
    """Signs that move the origin of a transform to index ``box // 2``."""
    width = pixels.box // 2 + 1
    parity = (pixels.index // width + pixels.index % width) % 2
    return 1.0 - 2.0 * parity.float()
