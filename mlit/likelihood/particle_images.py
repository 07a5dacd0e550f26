"""Particle images of one tilt series, reduced to what the likelihood needs.

For a reference that is zero outside a tight box, the Gaussian log-likelihood of a particle image in a box
large enough to hold all that defocus delocalises is, up to a constant,

    Re<P, C> - 1/2 <P, W P>,    C = crop(CTF X / noise),   W = crop(CTF^2 / noise),

so the large box is needed once and every evaluation works in the tight box. C is kept together with its
quadrature (CTF with its phase advanced by 90 degrees), from which C follows at any other defocus.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from mlit.fourier.pixels import FourierPixels


@dataclass(frozen=True)
class ParticleImages:
    """Premultiplied images of the particles of one series in its tilts, and their CTF power.

    Attributes
    ----------
    pixels
        The Fourier pixels kept, shared by all images.
    data
        C, in units such that ``sum(Re(conj(P) C)) * 2`` over ``pixels`` is the cross term of the
        log-likelihood.
    quadrature
        The same with -cos instead of -sin of the aberration phase; of zero tilts where defocus is not
        refined.
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

    def power_waves(
        self, defocus_um: Float[Tensor, "particle tilt"], particle: Int[Tensor, " image"], tilt: Int[Tensor, " image"]
    ) -> tuple[Float[Tensor, "image pixel"], Float[Tensor, "image pixel"]]:
        """``crop(E cos 2 gamma)`` and ``crop(E sin 2 gamma)`` of some images at their own defocus.

        W is ``(power - cosine) / 2``, and its derivative by defocus ``slope * sine``.
        """
        offset = (defocus_um[particle, tilt] - self.tilt_defocus_um[tilt]).float()
        twice = 2 * offset[:, None] * self.slope
        cos, sin = torch.cos(twice), torch.sin(twice)
        even = self.power_cos[tilt] * cos - self.power_sin[tilt] * sin
        return even, self.power_cos[tilt] * sin + self.power_sin[tilt] * cos

    @property
    def has_quadrature(self) -> bool:
        """Whether the images can follow a change of defocus."""
        return self.quadrature.shape[1] > 0
