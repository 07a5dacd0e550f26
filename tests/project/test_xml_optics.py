import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mlit.errors import InputError
from mlit.io.warp.settings import WarpSettings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.xml_optics import optics_from_xml, xml_with_optics

SETTINGS = WarpSettings(Path("p"), Path("d"), Path("q"), "*.tomostar", 1.0, 0.0, (1, 1, 1), 200.0, 2.6, 0.08)


def series(ctf: dict[str, object]) -> TiltSeriesXml:
    lists = {"Angles": [-30, 30], "Dose": [3, 0], "AxisAngle": [85, 85], "MoviePath": ["a", "b"]}
    return TiltSeriesXml.new("S", lists, ctf=ctf)


def test_values_and_units():
    xml = series({"Voltage": 300, "Cs": 2.7, "Amplitude": 0.1, "PhaseShift": 0.5}).with_grids(
        {
            "GridCTFDefocusDelta": np.array([0.1, 0.2]).reshape(2, 1, 1),
            "GridCTFDefocusAngle": np.full((1, 1, 1), 90.0),
        }
    )
    optics = optics_from_xml(xml, SETTINGS)
    assert (optics.voltage_kv, optics.cs_mm, optics.amplitude_contrast) == (300, 2.7, 0.1)
    expected = torch.tensor([[-0.1, 0.0], [-0.2, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(optics.astigmatism_um, expected, rtol=0, atol=1e-15)
    torch.testing.assert_close(optics.phase_shift_rad, torch.full((2,), math.pi / 2, dtype=torch.float64))


def test_settings_stand_in_for_what_the_file_lacks():
    optics = optics_from_xml(series({}), SETTINGS)
    assert (optics.voltage_kv, optics.cs_mm, optics.amplitude_contrast) == (200, 2.6, 0.08)


def test_changed_values_are_written_and_others_stay():
    xml = series({"Voltage": 300, "Cs": "2.70"})
    before = optics_from_xml(xml, SETTINGS)
    assert xml_with_optics(xml, before, before).document.root.findall("GridCTFPhase") == []
    phase = torch.tensor([0.1, 0.2], dtype=torch.float64)
    changed = xml_with_optics(xml, replace(before, phase_shift_rad=phase), before)
    assert [child.tag for child in changed.document.root][-1] == "GridCTFPhase"
    torch.testing.assert_close(optics_from_xml(changed, SETTINGS).phase_shift_rad, phase)
    assert changed.document.root.findall("CTF/Param")[1].get("Value") == "2.70"
    other = xml_with_optics(xml, replace(before, cs_mm=2.75), before)
    assert optics_from_xml(other, SETTINGS).cs_mm == 2.75


@pytest.mark.parametrize(("key", "value"), [("Voltage", 0), ("Voltage", -300), ("Amplitude", 1), ("Amplitude", -0.1)])
def test_impossible_values(key, value):
    with pytest.raises(InputError, match=rf"S\.xml: CTF/{key} is"):
        optics_from_xml(series({key: value}), SETTINGS)
