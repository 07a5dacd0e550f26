"""What an error of a parameter costs: the share of the amplitude that is lost at a given detail."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from mlit.project.recommend_figures import RunFigures

Arguments = Mapping[str, Any]


def loss_of_phase(rms_rad: float) -> float:
    """Share of the amplitude that is lost where phases scatter like a Gaussian of this width: 1 − exp(−φ²/2)."""
    return -math.expm1(-(rms_rad**2) / 2)


def loss_of_shift(rms_angstrom: float, detail_angstrom: float) -> float:
    """Return the same for shifts of this width along the direction of the detail."""
    return loss_of_phase(2 * math.pi * rms_angstrom / detail_angstrom)


def _along(radius_share: float, run: RunFigures) -> float:
    """Shift by this share of the distance from the centre, for the points of a ball.

    Of the entries of a small 2×2 or 3×3 matrix two move a point along a given direction, each by a coordinate whose
    mean square in a ball is R²/5.
    """
    return loss_of_shift(radius_share * run.diameter_angstrom / 2 * math.sqrt(2 / 5), run.detail_angstrom)


def _focus(rms_um: float, run: RunFigures) -> float:
    return loss_of_phase(math.pi * run.wavelength_angstrom * rms_um * 1e4 / run.detail_angstrom**2)


def _spherical(rms_mm: float, run: RunFigures) -> float:
    return loss_of_phase(math.pi / 2 * rms_mm * 1e7 * run.wavelength_angstrom**3 / run.detail_angstrom**4)


def _aberration(rms_deg: float, run: RunFigures, arguments: Arguments) -> float:
    """Phases of the four terms of an order, at the resolution that the prior names; cos² averages to a half."""
    growth = (float(arguments["prior_resolution_angstrom"]) / run.detail_angstrom) ** max(arguments["orders"])
    return loss_of_phase(math.radians(rms_deg) * growth * math.sqrt(4 / 2))


_LOSSES: dict[str, Callable[[float, RunFigures, Arguments], float]] = {
    "image_warp": lambda rms, run, _: loss_of_shift(rms, run.detail_angstrom),
    "volume_warp": lambda rms, run, _: loss_of_shift(rms / math.sqrt(3), run.detail_angstrom),  # about its mean in time
    "stage_angles": lambda rms, run, _: _along(math.radians(rms), run),
    "magnification": lambda rms, run, _: _along(rms / 100, run),
    "defocus": lambda rms, run, _: _focus(rms, run),
    "astigmatism": lambda rms, run, _: _focus(rms / 2, run),  # two components, of δ/2 cos 2θ
    "spherical_aberration": lambda rms, run, _: _spherical(rms, run),
    "even_aberrations": _aberration,
    "odd_aberrations": _aberration,
}

_WIDTHS = {
    "image_warp": "warp_prior_angstrom",
    "volume_warp": "motion_prior_angstrom",
    "stage_angles": "prior_deg",
    "defocus": "prior_um",
    "astigmatism": "prior_um",
    "magnification": "prior_percent",
    "spherical_aberration": "prior_mm",
    "even_aberrations": "prior_deg",
    "odd_aberrations": "prior_deg",
}


def known_blocks() -> tuple[str, ...]:
    """Blocks whose errors can be translated into a loss."""
    return tuple(_LOSSES)


def loss(block: str, rms: float, run: RunFigures) -> float:
    """Share of the amplitude at the detail of a run that errors of a block cost.

    Parameters
    ----------
    block
        One of :func:`known_blocks`.
    rms
        The errors, in the unit of the block.
    run
        The run.
    """
    return _LOSSES[block](rms, run, run.model[block])


def expected_error(block: str, run: RunFigures) -> float:
    """Size of the errors of a block, as its prior states it; of a motion in the mean over the exposure."""
    width = float(run.model[block][_WIDTHS[block]])
    return width / math.sqrt(2) if block == "volume_warp" else width


def expected_loss(block: str, run: RunFigures) -> float:
    """Return what it costs to leave a block out, if its errors are as large as its prior says."""
    return loss(block, expected_error(block, run), run)
