"""Particle images of one tilt series, reduced to what the likelihood needs.

For a reference that is zero outside a tight box, the Gaussian log-likelihood of a particle image in a box
large enough to hold all that defocus delocalises is, up to a constant,

    Re<P, C> - 1/2 <P, W P>,    C = crop(CTF X / noise),   W = crop(CTF^2 / noise),

so the large box is needed once and every evaluation works in the tight box. C is kept together with its
quadrature (CTF with its phase advanced by 90 degrees), from which C follows at any other defocus.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from mlit.deformation.local_coordinates import EVEN, ODD, VIEW_COORDINATES
from mlit.fourier.pixels import FourierPixels
from mlit.likelihood.signal_weights import PlaceFactors
from mlit.optics.ctf import Optics


@dataclass(frozen=True)
class WatchedAberrations:
    """Aberrations that may change after the images were cut, and what they do to the phases of the pixels.

    Attributes
    ----------
    coordinates
        Their places in the vector of local coordinates, ascending.
    start
        Even and odd aberrations for which the images were cut.
    even, odd
        Functions of frequency that the watched even and odd aberrations multiply.
    """

    coordinates: tuple[int, ...]
    start: Float[Tensor, "tilt aberration"]
    even: Float[Tensor, "pixel even"]
    odd: Float[Tensor, "pixel odd"]

    @classmethod
    def of(cls, optics: Optics, coordinates: Sequence[int], pixels: FourierPixels) -> "WatchedAberrations":
        """Watch those of some local coordinates that are aberrations."""
        watched = tuple(i for i in coordinates if i >= VIEW_COORDINATES)
        frequency = pixels.frequency.to(optics.astigmatism_um.device)
        even = optics.even_functions(frequency)[[i - EVEN.start for i in watched if i in EVEN]]
        odd = optics.odd_functions(frequency)[[i - ODD.start for i in watched if i in ODD]]
        start = optics.even_coefficients()
        start = torch.cat([start, optics.odd_coefficients().expand(len(start), -1)], -1)
        functions = (function.T.to(pixels.frequency) for function in (even, odd))
        return cls(watched, start.detach().cpu(), *functions)

    def phase_changes(
        self, aberrations: Float[Tensor, "tilt aberration"]
    ) -> tuple[Float[Tensor, "tilt pixel"], Float[Tensor, "tilt pixel"]]:
        """Change of the even and the odd phase of every pixel since the images were cut."""
        change = (aberrations[:, : self.start.shape[1]] - self.start).to(self.even)
        even, odd = (change[:, [i - VIEW_COORDINATES for i in self.coordinates if i in group]] for group in (EVEN, ODD))
        return even @ self.even.T, odd @ self.odd.T

    def sizes(self, change: Float[Tensor, " watched"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Bound on what a change of the watched aberrations does: phase (rms over pixels) and magnification."""
        rms = torch.cat([self.even, self.odd], 1).cpu().double().square().mean(0).sqrt()
        phase = (rms * change[: len(rms)]).norm()
        return phase, change[len(rms) :].norm()


@dataclass(frozen=True)
class ParticleImages:
    """Premultiplied images of the particles of one series in its tilts, and their CTF power.

    What is known of single images or tilts, and the numbers that single them out, lie on the CPU; all that has pixels,
    on the device of the images.

    Attributes
    ----------
    pixels
        The Fourier pixels kept, shared by all images.
    data
        C, in units such that ``sum(Re(conj(P) C)) * 2`` over ``pixels`` is the cross term of the
        log-likelihood.
    quadrature
        The same with -cos instead of -sin of the aberration phase; of zero tilts where the CTF is not
        refined and slices are flat.
    power, power_cos, power_sin
        crop(E), crop(E cos 2 gamma) and crop(E sin 2 gamma) at the mean defocus of each tilt, where E is the
        envelope squared over noise power; ``W = (power - power_cos) / 2``.
    slope
        Derivative of the aberration phase by defocus, rad/µm.
    xy_angstrom, defocus_um
        Position and defocus for which the images were cut out.
    tilt_defocus_um
        Defocus at which the three power arrays hold.
    valid
        False where a particle is not seen in a tilt.
    watched
        Aberrations that may change; None where they are held.
    height
        Third component of the frequency of each pixel, on the upper of the two Ewald spheres (1/Å), negative for the
        opposite hand; needs quadrature images. None: slices are flat.
    places
        What the place in the image does to the signal; neither data nor power hold it. None: nothing.
    """

    pixels: FourierPixels
    data: Complex[Tensor, "particle tilt pixel"]
    quadrature: Complex[Tensor, "particle quadrature_tilt pixel"]
    power: Float[Tensor, "tilt pixel"]
    power_cos: Float[Tensor, "tilt pixel"]
    power_sin: Float[Tensor, "tilt pixel"]
    slope: Float[Tensor, " pixel"]
    xy_angstrom: Float[Tensor, "particle tilt 2"]
    defocus_um: Float[Tensor, "particle tilt"]
    tilt_defocus_um: Float[Tensor, " tilt"]
    valid: Bool[Tensor, "particle tilt"]
    watched: WatchedAberrations | None = None
    height: Float[Tensor, " pixel"] | None = None
    places: PlaceFactors | None = None

    def power_waves(
        self,
        defocus_um: Float[Tensor, "particle tilt"],
        particle: Int[Tensor, " image"],
        tilt: Int[Tensor, " image"],
        even_change: Float[Tensor, "tilt pixel"] | None = None,
    ) -> tuple[Float[Tensor, "image pixel"], Float[Tensor, "image pixel"]]:
        """``crop(E cos 2 gamma)`` and ``crop(E sin 2 gamma)`` of some images at their own defocus.

        W is ``(power - cosine) / 2``, and its derivative by defocus ``slope * sine``. ``even_change`` is what other
        aberrations have added to gamma.
        """
        offset = (defocus_um[particle, tilt] - self.tilt_defocus_um[tilt]).to(self.slope)
        gamma = offset[:, None] * self.slope
        twice = 2 * (gamma if even_change is None else gamma + even_change[tilt])
        cos, sin = torch.cos(twice), torch.sin(twice)
        even = self.power_cos[tilt] * cos - self.power_sin[tilt] * sin
        return even, self.power_cos[tilt] * sin + self.power_sin[tilt] * cos

    def place_factor(
        self, particle: Int[Tensor, " image"], tilt: Int[Tensor, " image"]
    ) -> Float[Tensor, "image pixel"] | None:
        """Amplitude of some images at their places; None where it is the same everywhere."""
        return None if self.places is None else self.places.at(particle, tilt, self.pixels.radius.float())

    @property
    def half_width_angstrom(self) -> float:
        """Half the side of the box."""
        return self.pixels.box * self.pixels.pixel_size_angstrom / 2

    @property
    def has_quadrature(self) -> bool:
        """Whether the images can follow a change of their CTF."""
        return self.quadrature.shape[1] > 0
