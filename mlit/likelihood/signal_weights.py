"""How strong the signal is in the images of a series: by series, by tilt, and by place in the image.

The amplitude of the signal at frequency k, at the place (x, y) of tilt t, is

    A a(t) l(x, y) exp((B + b(t) + b_l(x, y) + d(t) cos 2(θ - θ_t)) k² / 4)

with negative B factors for decay, as in Warp's files. There, b(t) holds radiation damage too. Where no b(t) is known,
the critical exposure says what damage leaves; b(t) that was estimated here comes on top of that.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mlit.geometry.tilt_grid import evaluate_tilt_grid
from mlit.optics.dose import bfactor_envelope, critical_exposure_envelope

LEAST_COSINE = 0.1  # of a tilt angle
LEAST_DECAY = 3.0  # Å² for each e/Å²: Warp and M believe no weaker decay than this


@dataclass(frozen=True)
class PlaceFactors:
    """What the place in the image does to the signal of each particle in each tilt.

    Attributes
    ----------
    amplitude
        Factor of the amplitude.
    bfactor_angstrom2
        Added to the B factor.
    """

    amplitude: Float[Tensor, "particle tilt"]
    bfactor_angstrom2: Float[Tensor, "particle tilt"]

    def at(
        self, particle: Int[Tensor, " image"], tilt: Int[Tensor, " image"], frequency: Float[Tensor, " pixel"]
    ) -> Float[Tensor, "image pixel"]:
        """Factor of the amplitude of some images at frequencies in 1/Å."""
        decay = self.bfactor_angstrom2[particle, tilt, None].to(frequency)
        return self.amplitude[particle, tilt, None].to(frequency) * bfactor_envelope(frequency, decay)


@dataclass(frozen=True)
class SignalWeights:
    """Weights of one series; what was never estimated is neutral.

    Attributes
    ----------
    series_amplitude, series_bfactor_angstrom2
        Of the whole series.
    tilt_amplitude
        Of each tilt; None: the root of the cosine of the tilt angle.
    tilt_bfactor_angstrom2
        Of each tilt; None: radiation damage follows from the exposure.
    beside_damage
        Whether the B factors of tilts come on top of the damage that follows from the exposure, not in its place.
    anisotropy_angstrom2
        How much the B factor varies with direction: (d cos 2θ, d sin 2θ), with θ the direction of the weakest decay.
    places
        Amplitude and B factor at the nodes of a natural-spline grid over the images; the third axis is the tilt.
    """

    series_amplitude: float = 1.0
    series_bfactor_angstrom2: float = 0.0
    tilt_amplitude: Float[Tensor, " tilt"] | None = None
    tilt_bfactor_angstrom2: Float[Tensor, " tilt"] | None = None
    anisotropy_angstrom2: Float[Tensor, "tilt 2"] | None = None
    places: Float[Tensor, "tnode ynode xnode 2"] | None = None
    beside_damage: bool = False

    def amplitude(self, tilt_angle_rad: Float[Tensor, " tilt"]) -> Float[Tensor, " tilt"]:
        """Amplitude of the signal in each tilt, before decay and place.

        Without estimates the path through the sample grows with 1/cos of the tilt angle, and the signal-to-noise ratio
        in power falls with it.
        """
        plain = tilt_angle_rad.cos().clamp(min=LEAST_COSINE).sqrt()
        known = plain if self.tilt_amplitude is None else self.tilt_amplitude.to(plain)
        return self.series_amplitude * known

    def decay(self, frequency: Float[Tensor, "*grid"], dose: Float[Tensor, " tilt"]) -> Float[Tensor, "tilt *grid"]:
        """Factor of the amplitude that depends on frequency (1/Å), its mean over directions."""
        axes = [1] * frequency.dim()
        exposure = dose.to(frequency).reshape(-1, *axes)
        own = torch.zeros_like(exposure)
        if self.tilt_bfactor_angstrom2 is not None:
            own = self.tilt_bfactor_angstrom2.to(exposure).reshape(exposure.shape)
        if self.tilt_bfactor_angstrom2 is not None and not self.beside_damage:
            total = own.minimum(-LEAST_DECAY * exposure) + self.series_bfactor_angstrom2
            return bfactor_envelope(frequency[None], total)
        left = bfactor_envelope(frequency[None], own + self.series_bfactor_angstrom2)
        return critical_exposure_envelope(frequency[None], exposure) * left

    def directional(self, plane: Float[Tensor, "*grid 2"]) -> Float[Tensor, "tilt *grid"] | None:
        """Factor of :meth:`decay` that depends on the direction of the frequency x, y (1/Å); None where none does."""
        if self.anisotropy_angstrom2 is None:
            return None
        return torch.exp(torch.einsum("td,...d->t...", self.anisotropy_angstrom2.to(plane), double_angle(plane)) / 4)

    def at_places(self, fraction: Float[Tensor, "particle tilt 2"]) -> PlaceFactors | None:
        """Factors at places in the image, given as fractions of its sides; None where they are the same everywhere."""
        if self.places is None:
            return None
        amplitude, bfactor = evaluate_tilt_grid(self.places.to(fraction), fraction).unbind(-1)
        return PlaceFactors(amplitude.clamp(min=0), bfactor)

    def tilt(self, index: int) -> "SignalWeights":
        """Weights of one tilt alone, at no particular place."""
        one = slice(index, index + 1)
        per_tilt = (self.tilt_amplitude, self.tilt_bfactor_angstrom2, self.anisotropy_angstrom2)
        return SignalWeights(
            self.series_amplitude,
            self.series_bfactor_angstrom2,
            *(None if v is None else v[one] for v in per_tilt),
            beside_damage=self.beside_damage,
        )


def double_angle(plane: Float[Tensor, "*grid 2"]) -> Float[Tensor, "*grid 2"]:
    """k² cos 2θ and k² sin 2θ of frequencies x, y."""
    x, y = plane.unbind(-1)
    return torch.stack([x.square() - y.square(), 2 * x * y], -1)
