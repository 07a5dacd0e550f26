"""Contrast transfer function of tilt images.

``CTF = -sin γ`` with

``γ = π λ Δf k² + (π/2) Cs λ³ k⁴ - φ - atan(A / √(1 - A²))``, ``Δf = -(defocus + δ/2 · cos 2(θ - θ_ast))``,

defocus positive for underfocus, so that the CTF is positive at low frequency for particles that are brighter
than their surroundings. Only the first term knows the defocus of the single particle:
``γ = static_phase(tilt, k) + defocus_um · defocus_slope(k)``. Phases are made in float64, since they reach
hundreds of radians.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.optics.wavelength import electron_wavelength_angstrom

ANGSTROM_PER_MICROMETRE = 1e4
ANGSTROM_PER_MILLIMETRE = 1e7


@dataclass(frozen=True, eq=False)
class Optics:
    """What the CTF of a tilt series needs besides the defocus of each particle.

    Attributes
    ----------
    voltage_kv, cs_mm
        Acceleration voltage and spherical aberration.
    amplitude_contrast
        Fraction of amplitude contrast, 0 to below 1.
    astigmatism_um
        Full difference between the largest and smallest defocus of each tilt.
    astigmatism_angle_rad
        Direction of the largest underfocus, from x towards y.
    phase_shift_rad
        Phase shift of a phase plate.
    """

    voltage_kv: float
    cs_mm: float
    amplitude_contrast: float
    astigmatism_um: Float[Tensor, "tilt"]
    astigmatism_angle_rad: Float[Tensor, "tilt"]
    phase_shift_rad: Float[Tensor, "tilt"]

    @property
    def wavelength_angstrom(self) -> float:
        """Electron wavelength."""
        return electron_wavelength_angstrom(self.voltage_kv)

    def defocus_slope(self, frequency_xy: Float[Tensor, "*grid 2"]) -> Float[Tensor, "*grid"]:
        """Return dγ / d defocus in radians per µm.

        Parameters
        ----------
        frequency_xy
            (kx, ky) in 1/Å, as rows of the image array grow with y.
        """
        squared = frequency_xy.double().square().sum(-1)
        return -math.pi * self.wavelength_angstrom * ANGSTROM_PER_MICROMETRE * squared

    def static_phase(self, frequency_xy: Float[Tensor, "*grid 2"]) -> Float[Tensor, "tilt *grid"]:
        """γ at zero defocus: astigmatism, spherical aberration, phase shift and amplitude contrast.

        Astigmatism is written with ``k² cos 2θ = kx² - ky²`` and ``k² sin 2θ = 2 kx ky``; nothing is
        singular at zero frequency or zero astigmatism.

        Parameters
        ----------
        frequency_xy
            (kx, ky) in 1/Å.
        """
        kx, ky = frequency_xy.double().unbind(-1)
        wavelength = self.wavelength_angstrom
        per_tilt = (-1,) + (1,) * kx.ndim
        double_angle = (2 * self.astigmatism_angle_rad).reshape(per_tilt)
        direction = torch.cos(double_angle) * (kx**2 - ky**2) + torch.sin(double_angle) * (2 * kx * ky)
        slope = -math.pi * wavelength * ANGSTROM_PER_MICROMETRE / 2
        astigmatism = slope * self.astigmatism_um.reshape(per_tilt) * direction
        cs = math.pi / 2 * self.cs_mm * ANGSTROM_PER_MILLIMETRE * wavelength**3
        spherical = cs * (kx**2 + ky**2) ** 2
        constant = self.phase_shift_rad + math.asin(self.amplitude_contrast)
        return astigmatism + spherical - constant.reshape(per_tilt)


def phase_aberration(
    frequency_xy: Float[Tensor, "*grid 2"], defocus_um: Float[Tensor, "*lead tilt"], optics: Optics
) -> Float[Tensor, "..."]:
    """Phase γ in radians (float64) of every image at every frequency.

    Parameters
    ----------
    frequency_xy
        (kx, ky) in 1/Å.
    defocus_um
        Defocus with any leading axes (particles); last axis tilts.
    optics
        Optics of the series.

    Returns
    -------
    Tensor
        Axes of ``defocus_um``, then those of the frequency grid.
    """
    slope = optics.defocus_slope(frequency_xy)
    defocus = defocus_um.reshape(*defocus_um.shape, *[1] * slope.ndim)
    return optics.static_phase(frequency_xy) + defocus * slope


def wrapped_phase_aberration(
    frequency_xy: Float[Tensor, "*grid 2"],
    defocus_um: Float[Tensor, "*lead tilt"],
    optics: Optics,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "..."]:
    """γ up to multiples of 2π, for large arrays in single precision.

    Whole turns are taken off in float64 at the mean defocus of each tilt; what is left for single precision
    is the small phase of each particle's difference from it. Sine, cosine and derivatives are those of γ.

    Parameters
    ----------
    frequency_xy
        (kx, ky) in 1/Å.
    defocus_um
        Defocus with any leading axes (particles); last axis tilts.
    optics
        Optics of the series.
    dtype
        Type of the result.

    Returns
    -------
    Tensor
        Axes of ``defocus_um``, then those of the frequency grid.
    """
    slope = optics.defocus_slope(frequency_xy)
    trailing = [1] * slope.ndim
    reference = defocus_um.reshape(-1, defocus_um.shape[-1]).mean(0)
    common = optics.static_phase(frequency_xy) + reference.reshape(-1, *trailing) * slope
    rest = (defocus_um - reference).to(dtype).reshape(*defocus_um.shape, *trailing)
    return torch.remainder(common, 2 * math.pi).to(dtype) + rest * slope.to(dtype)


def ctf(gamma: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Contrast transfer function ``-sin γ``."""
    return -torch.sin(gamma)
