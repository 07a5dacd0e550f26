"""True and starting optics of a series: what the microscope did and what the metadata say."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mlit.optics.astigmatism import astigmatism_vector
from mlit.optics.ctf import Optics
from mlit.optics.zernike import EVEN_INDICES, ODD_INDICES, zernike_from_powers
from mlit.simulation.config_errors import AberrationConfig
from mlit.simulation.config_images import MicroscopeConfig


@dataclass(frozen=True)
class OpticsPair:
    """Optics of one series as they were and as its starting metadata describe them.

    Attributes
    ----------
    true, start
        Same microscope; ``start`` lacks every error of the aberration config.
    """

    true: Optics
    start: Optics


def draw_known_optics(microscope: MicroscopeConfig, tilts: int, rng: np.random.Generator) -> Optics:
    """Astigmatism of one direction and a constant phase shift for all tilts of a series."""
    ones = torch.ones(tilts, dtype=torch.float64)
    return Optics(
        voltage_kv=microscope.voltage_kv,
        cs_mm=microscope.cs_mm,
        amplitude_contrast=microscope.amplitude_contrast,
        astigmatism_um=astigmatism_vector(ones * microscope.astigmatism_um, ones * float(rng.uniform(0, np.pi))),
        phase_shift_rad=ones * (np.pi * microscope.phase_shift_pi),
    )


def with_optics_errors(start: Optics, config: AberrationConfig, rng: np.random.Generator) -> Optics:
    """Add everything about the optics that the starting metadata do not know."""
    tilts = len(start.phase_shift_rad)
    astigmatism = torch.as_tensor(rng.normal(size=(tilts, 2)) * config.astigmatism_error_um)
    common, scatter = rng.normal() * config.phase_shift_error_deg, rng.normal(size=tilts)
    phase_shift = torch.as_tensor(np.deg2rad(common + scatter * config.phase_shift_scatter_deg))
    resolution = config.error_resolution_angstrom
    return replace(
        start,
        cs_mm=float(start.cs_mm) + float(rng.normal()) * config.cs_error_mm,
        astigmatism_um=start.astigmatism_um + astigmatism,
        phase_shift_rad=start.phase_shift_rad + phase_shift,
        zernike_even_rad=_zernike_errors(EVEN_INDICES, config.even_orders, config.even_error_deg, resolution, rng),
        zernike_odd_rad=_zernike_errors(ODD_INDICES, config.odd_orders, config.odd_error_deg, resolution, rng),
    )


def draw_magnification(config: AberrationConfig, rng: np.random.Generator) -> Float[Tensor, "2 2"]:
    """Magnification matrix of a series, one but for its error."""
    error = rng.normal(size=(2, 2)) * config.magnification_error_percent / 100
    return torch.as_tensor(np.eye(2) + error)


def _zernike_errors(
    indices: list[tuple[int, int]],
    orders: tuple[int, ...],
    error_deg: float,
    resolution_angstrom: float,
    rng: np.random.Generator,
) -> Float[Tensor, " zernike"]:
    """Zernike coefficients of phases ``k^n cos mθ`` of a given size at a resolution."""
    terms = [(n, m) for n, m in indices if n in orders and m != 0]
    factor = [math.radians(error_deg) * rng.normal() * resolution_angstrom**n for n, _ in terms]
    return zernike_from_powers(terms, indices) @ torch.tensor(factor, dtype=torch.float64)
