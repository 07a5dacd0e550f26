"""Optics of a tilt series from its XML, and back into it."""

import math

import numpy as np
import torch

from mlit.errors import InputError
from mlit.io.warp.settings import WarpSettings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.optics.ctf import Optics
from mlit.project.tilt_values import tilt_values


def optics_from_xml(xml: TiltSeriesXml, settings: WarpSettings) -> Optics:
    """Return the optics that the file describes; what its `<CTF>` lacks comes from the settings.

    Raises
    ------
    InputError
        If a value is impossible, such as a voltage of zero.
    """
    voltage = xml.ctf_number("Voltage", settings.voltage_kv)
    if voltage <= 0:
        raise InputError(f"{xml.path}: CTF/Voltage is {voltage:g} kV; it must be above zero")
    amplitude = xml.ctf_number("Amplitude", settings.amplitude_contrast)
    if not 0 <= amplitude < 1:
        raise InputError(f"{xml.path}: CTF/Amplitude is {amplitude:g}; it is a fraction from 0 to below 1")
    astigmatism = tilt_values(xml, "GridCTFDefocusDelta", xml.ctf_number("DefocusDelta", 0.0))
    angle_deg = tilt_values(xml, "GridCTFDefocusAngle", xml.ctf_number("DefocusAngle", 0.0))
    phase_pi = tilt_values(xml, "GridCTFPhase", xml.ctf_number("PhaseShift", 0.0))
    return Optics(
        voltage_kv=voltage,
        cs_mm=xml.ctf_number("Cs", settings.cs_mm),
        amplitude_contrast=amplitude,
        astigmatism_um=torch.from_numpy(astigmatism.copy()),
        astigmatism_angle_rad=torch.from_numpy(np.deg2rad(angle_deg)),
        phase_shift_rad=torch.from_numpy(phase_pi * math.pi),
    )


def xml_with_optics(xml: TiltSeriesXml, optics: Optics, before: Optics) -> TiltSeriesXml:
    """Return a copy of the file that describes `optics`; what is as it was `before` keeps its text.

    Voltage and amplitude contrast are never changed.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    grids = {
        "GridCTFDefocusDelta": (optics.astigmatism_um, before.astigmatism_um, 1.0),
        "GridCTFDefocusAngle": (optics.astigmatism_angle_rad, before.astigmatism_angle_rad, 180 / math.pi),
        "GridCTFPhase": (optics.phase_shift_rad, before.phase_shift_rad, 1 / math.pi),
    }
    changed = {
        name: (new.detach().cpu().numpy() * unit)[:, None, None]
        for name, (new, old, unit) in grids.items()
        if not torch.equal(new.detach().cpu(), old)
    }
    result = xml.with_grids(changed)
    cs_mm = float(optics.cs_mm)
    return result.with_ctf({"Cs": cs_mm}) if cs_mm != float(before.cs_mm) else result
