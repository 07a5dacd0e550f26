"""Contrast transfer function of tilt images.

``CTF = -sin γ`` with

``γ = π λ Δf k² + (π/2) Cs λ³ k⁴ - φ - atan(A / √(1 - A²))``, ``Δf = -(defocus + δ/2 · cos 2(θ - θ_ast))``,

defocus positive for underfocus, so that the CTF is positive at low frequency for particles that are brighter
than their surroundings. Only the first term knows the defocus of the single particle:
``γ = static_phase(tilt, k) + defocus_um · defocus_slope(k)``. Phases are made in float64, since they reach
hundreds of radians.

Further terms of γ are even Zernike polynomials. Odd ones are a phase of their own that the microscope adds to the
image: ``exp(i odd_phase)`` times the image takes it away.
"""

import math
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.optics.wavelength import electron_wavelength_angstrom
from mlit.optics.zernike import EVEN_INDICES, ODD_INDICES, powers, powers_from_zernike

ANGSTROM_PER_MICROMETRE = 1e4
ANGSTROM_PER_MILLIMETRE = 1e7


def _no_aberration(terms: int) -> Tensor:
    return torch.zeros(terms, dtype=torch.float64)


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
        Astigmatism of each tilt as a vector; see :mod:`mlit.optics.astigmatism`.
    phase_shift_rad
        Phase shift of a phase plate.
    zernike_even_rad, zernike_odd_rad
        Coefficients of the Zernike polynomials of orders 2 and 4, and 1, 3 and 5; see :mod:`mlit.optics.zernike`.
    """

    voltage_kv: float
    cs_mm: float | Float[Tensor, ""]
    amplitude_contrast: float
    astigmatism_um: Float[Tensor, "tilt 2"]
    phase_shift_rad: Float[Tensor, "tilt"]
    zernike_even_rad: Float[Tensor, "even_zernike"] = field(default_factory=lambda: _no_aberration(len(EVEN_INDICES)))
    zernike_odd_rad: Float[Tensor, "odd_zernike"] = field(default_factory=lambda: _no_aberration(len(ODD_INDICES)))

    def to(self, device: torch.device) -> "Optics":
        """Copy on a device."""
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **moved)

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

    def even_functions(self, frequency_xy: Float[Tensor, "*grid 2"]) -> Float[Tensor, "even *grid"]:
        """Return the derivatives of γ by :meth:`even_coefficients`, which γ is linear in.

        Astigmatism is written with ``k² cos 2θ = kx² - ky²`` and ``k² sin 2θ = 2 kx ky``; nothing is
        singular at zero frequency or zero astigmatism.

        Parameters
        ----------
        frequency_xy
            (kx, ky) in 1/Å.
        """
        kx, ky = frequency_xy.double().unbind(-1)
        wavelength = self.wavelength_angstrom
        slope = -math.pi * wavelength * ANGSTROM_PER_MICROMETRE / 2
        cs = math.pi / 2 * ANGSTROM_PER_MILLIMETRE * wavelength**3
        common = [slope * (kx**2 - ky**2), slope * 2 * kx * ky, -torch.ones_like(kx), cs * (kx**2 + ky**2) ** 2]
        return torch.cat([torch.stack(common), powers(EVEN_INDICES, frequency_xy)])

    def even_coefficients(self) -> Float[Tensor, "tilt even"]:
        """Everything in γ but defocus and amplitude contrast; differentiable.

        Astigmatism as a vector in µm, phase shift in radians, Cs in mm, and the factors of the powers that the even
        Zernike terms are made of; what is constant in these counts as phase shift.
        """
        vector, tilts = self.astigmatism_um, len(self.astigmatism_um)
        matrix = powers_from_zernike(EVEN_INDICES, [(0, 0), *EVEN_INDICES])
        constant, *rest = (matrix.to(vector) @ self.zernike_even_rad).unbind()
        cs = torch.as_tensor(self.cs_mm, dtype=vector.dtype, device=vector.device).expand(tilts)
        plain = torch.stack([self.phase_shift_rad - constant, cs], -1)
        return torch.cat([vector, plain, torch.stack(rest).expand(tilts, -1)], -1)

    def odd_functions(self, frequency_xy: Float[Tensor, "*grid 2"]) -> Float[Tensor, "odd *grid"]:
        """Return the derivatives of :meth:`odd_phase` by :meth:`odd_coefficients`, which it is linear in.

        Parameters
        ----------
        frequency_xy
            (kx, ky) in 1/Å.
        """
        return powers(ODD_INDICES, frequency_xy)

    def odd_coefficients(self) -> Float[Tensor, " odd"]:
        """Factors of the powers that the odd Zernike terms are made of; differentiable."""
        coefficients = self.zernike_odd_rad
        return powers_from_zernike(ODD_INDICES, ODD_INDICES).to(coefficients) @ coefficients

    def static_phase(self, frequency_xy: Float[Tensor, "*grid 2"]) -> Float[Tensor, "tilt *grid"]:
        """γ at zero defocus: astigmatism, spherical aberration, phase shift, Zernike terms, amplitude contrast.

        Parameters
        ----------
        frequency_xy
            (kx, ky) in 1/Å.
        """
        phase = torch.tensordot(self.even_coefficients(), self.even_functions(frequency_xy), dims=1)
        return phase - math.asin(self.amplitude_contrast)

    def odd_phase(self, frequency_xy: Float[Tensor, "*grid 2"]) -> Float[Tensor, "*grid"]:
        """Phase that corrects images for beam tilt, trefoil and the like, in radians.

        Parameters
        ----------
        frequency_xy
            (kx, ky) in 1/Å.
        """
        return torch.tensordot(self.odd_coefficients(), self.odd_functions(frequency_xy), dims=1)


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
    Arguments and axes are those of :func:`phase_aberration`; ``dtype`` is the type of the result.
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
