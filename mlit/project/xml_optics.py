"""Optics of a tilt series from its XML, and back into it."""

import math

import numpy as np
import torch
from torch import Tensor

from mlit.errors import InputError
from mlit.io.numbers import format_number
from mlit.io.warp.settings import WarpSettings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.optics.astigmatism import astigmatism_size_and_angle, astigmatism_vector
from mlit.optics.ctf import Optics
from mlit.optics.zernike import EVEN_INDICES, ODD_INDICES
from mlit.project.tilt_values import tilt_values


def optics_from_xml(xml: TiltSeriesXml, settings: WarpSettings | None = None) -> Optics:
    """Return the optics that the file describes; what its `<CTF>` lacks comes from the settings, if there are any.

    Raises
    ------
    InputError
        If a value is impossible, such as a voltage of zero.
    """
    voltage = xml.ctf_number("Voltage", settings.voltage_kv if settings else 300.0)
    if voltage <= 0:
        raise InputError(f"{xml.path}: CTF/Voltage is {voltage:g} kV; it must be above zero")
    amplitude = xml.ctf_number("Amplitude", settings.amplitude_contrast if settings else 0.07)
    if not 0 <= amplitude < 1:
        raise InputError(f"{xml.path}: CTF/Amplitude is {amplitude:g}; it is a fraction from 0 to below 1")
    difference, angle_deg = _astigmatism(xml)
    phase_pi = tilt_values(xml, "GridCTFPhase", xml.ctf_number("PhaseShift", 0.0))
    return Optics(
        voltage_kv=voltage,
        cs_mm=xml.ctf_number("Cs", settings.cs_mm if settings else 2.7),
        amplitude_contrast=amplitude,
        astigmatism_um=astigmatism_vector(torch.from_numpy(difference.copy()), torch.from_numpy(np.deg2rad(angle_deg))),
        phase_shift_rad=torch.from_numpy(phase_pi * math.pi),
        zernike_even_rad=torch.from_numpy(xml.ctf_coefficients("ZernikeCoeffsEven", len(EVEN_INDICES))),
        zernike_odd_rad=torch.from_numpy(xml.ctf_coefficients("ZernikeCoeffsOdd", len(ODD_INDICES))),
    )


def xml_with_optics(xml: TiltSeriesXml, optics: Optics, before: Optics) -> TiltSeriesXml:
    """Return a copy of the file that describes `optics`; what is as it was `before` keeps its text.

    Voltage and amplitude contrast are never changed.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    grids = _changed_astigmatism(xml, optics, before)
    if _differ(optics.phase_shift_rad, before.phase_shift_rad):
        grids["GridCTFPhase"] = _array(optics.phase_shift_rad) / math.pi
    params: dict[str, object] = {}
    if float(optics.cs_mm) != float(before.cs_mm):
        params["Cs"] = float(optics.cs_mm)
    if _differ(optics.zernike_even_rad, before.zernike_even_rad):
        params["ZernikeCoeffsEven"] = _list_text(optics.zernike_even_rad)
    if _differ(optics.zernike_odd_rad, before.zernike_odd_rad):
        params["ZernikeCoeffsOdd"] = _list_text(optics.zernike_odd_rad)
    result = xml.with_grids({name: values[:, None, None] for name, values in grids.items()})
    return result.with_ctf(params) if params else result


def _astigmatism(xml: TiltSeriesXml) -> tuple[np.ndarray, np.ndarray]:
    """Difference of the main defoci in µm and direction in degrees, of every tilt."""
    return (
        tilt_values(xml, "GridCTFDefocusDelta", xml.ctf_number("DefocusDelta", 0.0)),
        tilt_values(xml, "GridCTFDefocusAngle", xml.ctf_number("DefocusAngle", 0.0)),
    )


def _changed_astigmatism(xml: TiltSeriesXml, optics: Optics, before: Optics) -> dict[str, np.ndarray]:
    """Both grids of the astigmatism if any tilt has changed; tilts that have not keep their numbers.

    Of the directions half a turn apart, which are the same, the one nearest to the old is written.
    """
    changed = (_array(optics.astigmatism_um) != _array(before.astigmatism_um)).any(-1)
    if not changed.any():
        return {}
    old_difference, old_angle = _astigmatism(xml)
    size, direction = astigmatism_size_and_angle(optics.astigmatism_um.detach().cpu())
    angle = np.rad2deg(_array(direction))
    angle += 180 * np.round((old_angle - angle) / 180)
    return {
        "GridCTFDefocusDelta": np.where(changed, _array(size), old_difference),
        "GridCTFDefocusAngle": np.where(changed, angle, old_angle),
    }


def _differ(one: Tensor, other: Tensor) -> bool:
    return not torch.equal(one.detach().cpu(), other.detach().cpu())


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def _list_text(coefficients: Tensor) -> str:
    return ";".join(format_number(value) for value in coefficients.tolist())
