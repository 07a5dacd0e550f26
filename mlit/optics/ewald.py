"""Curvature of the Ewald sphere.

A scatterer at depth z (Å, along the axis of the image frame) is out of focus by z more, or less, than the centre of
its particle. With γ(z) = γ - h π λ k² z for a hand h of +1 or -1 its image is

``-sin γ(z) = i/2 (e^{iγ} e^{-2πi kz z} - e^{-iγ} e^{+2πi kz z})``,   ``kz = h λ k² / 2``,

so that an image shows the transform V of the whole molecule on two spheres,

``X(k) = i/2 (e^{iγ} V(k, kz) - e^{-iγ} V(k, -kz)) = -sin γ S + i cos γ D``,

with S the mean of the two values of V and D half their difference.
"""

import math

from jaxtyping import Float
from torch import Tensor


def sphere_height(frequency_xy: Float[Tensor, "*grid 2"], wavelength_angstrom: float) -> Float[Tensor, "*grid"]:
    """Distance λ k² / 2 (1/Å) of the Ewald sphere from the central plane.

    Parameters
    ----------
    frequency_xy
        (kx, ky) in 1/Å, of the image itself: magnification does not change the waves.
    wavelength_angstrom
        Electron wavelength.
    """
    return frequency_xy.double().square().sum(-1) * (wavelength_angstrom / 2)


def flat_detail(diameter_angstrom: float, wavelength_angstrom: float) -> float:
    """Finest detail (Å) that a flat slice of a ball shows with about 98 % of its amplitude.

    The rim of the ball is πλk²z off the phase of its centre, at half the diameter z: by π/8 at twice √(λ diameter).
    """
    return 2 * math.sqrt(wavelength_angstrom * diameter_angstrom)
