import math
from dataclasses import replace
from pathlib import Path

import lxml.etree as etree
import numpy as np
import pytest
import torch

from mlit.errors import InputError
from mlit.io.warp.settings import WarpSettings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.optics.astigmatism import astigmatism_vector
from mlit.project.xml_optics import optics_from_xml, xml_with_optics
from tests.support import shared_path

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


def test_refined_series_of_m():
    xml = TiltSeriesXml.read(shared_path("golden", "TS_1.xml"))
    optics = optics_from_xml(xml, SETTINGS)
    assert optics.zernike_odd_rad[:6].tolist() == [3.4192607, -11.709824, 1.0511842, 1.9012975, -6.1630774, -0.74032724]
    assert not optics.zernike_odd_rad[6:].any()
    assert optics.zernike_even_rad.tolist() == [0.85632384, -0.025704637, -0.7790994, 0, 0, 0, 0, 0]
    assert optics.cs_mm == 3.27283443186616
    again = xml_with_optics(xml, optics, optics_from_xml(xml, SETTINGS))
    assert etree.tostring(again.document.tree) == etree.tostring(xml.document.tree)


def test_every_changed_part_of_a_refined_series_comes_back_and_the_rest_keeps_its_text(tmp_path):
    xml = TiltSeriesXml.read(shared_path("golden", "TS_1.xml"))
    before = optics_from_xml(xml, SETTINGS)
    astigmatism = before.astigmatism_um.clone()
    astigmatism[3] = torch.tensor([-0.02, 0.05])
    changed = replace(
        before,
        cs_mm=torch.tensor(3.1, dtype=torch.float64),
        astigmatism_um=astigmatism,
        phase_shift_rad=before.phase_shift_rad + 0.3,
        zernike_even_rad=before.zernike_even_rad + 0.1,
        zernike_odd_rad=before.zernike_odd_rad - 0.2,
    )
    xml_with_optics(xml, changed, before).write(tmp_path / "TS_1.xml")
    again = TiltSeriesXml.read(tmp_path / "TS_1.xml")
    for name, value in vars(optics_from_xml(again, SETTINGS)).items():
        expected = torch.as_tensor(getattr(changed, name), dtype=torch.float64)
        torch.testing.assert_close(torch.as_tensor(value, dtype=torch.float64), expected, atol=1e-14, rtol=1e-14)
    for grid in ("GridCTFDefocusDelta", "GridCTFDefocusAngle"):
        assert np.flatnonzero((again.grid(grid) != xml.grid(grid)).flatten()).tolist() == [3]
    assert again.grid("GridCTFDefocusDelta")[3, 0, 0] == pytest.approx(np.hypot(0.02, 0.05))
    assert again.document.root.find("GridCTF/Node").get("Value") == xml.document.root.find("GridCTF/Node").get("Value")


def test_the_direction_nearest_to_the_old_one_is_written():
    grids = {"GridCTFDefocusDelta": np.full((2, 1, 1), 0.1), "GridCTFDefocusAngle": np.full((2, 1, 1), 170.0)}
    xml = series({"Voltage": 300}).with_grids(grids)
    before = optics_from_xml(xml, SETTINGS)
    turned = astigmatism_vector(torch.full((2,), 0.1).double(), torch.deg2rad(torch.tensor([175.0, 185.0]).double()))
    written = xml_with_optics(xml, replace(before, astigmatism_um=turned), before)
    assert written.grid("GridCTFDefocusAngle").flatten().tolist() == pytest.approx([175, 185])


def test_short_lists_of_coefficients_are_filled_with_zeros():
    optics = optics_from_xml(series({"ZernikeCoeffsOdd": " 0.5; -2 ", "ZernikeCoeffsEven": ""}), SETTINGS)
    assert optics.zernike_odd_rad.tolist() == [0.5, -2, *[0] * 10]
    assert optics.zernike_even_rad.tolist() == [0] * 8
    longer = optics_from_xml(series({"ZernikeCoeffsEven": "1;0;0;0;0;0;0;2;0;0"}), SETTINGS)
    assert longer.zernike_even_rad.tolist() == [1, 0, 0, 0, 0, 0, 0, 2]


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("ZernikeCoeffsOdd", "1;x", "CTF/ZernikeCoeffsOdd, coefficient 2 is 'x', which is not a number"),
        ("ZernikeCoeffsOdd", "1,2", "write the decimals with a point"),
        ("ZernikeCoeffsEven", "1;;3", "CTF/ZernikeCoeffsEven, coefficient 2 has no value"),
        ("ZernikeCoeffsEven", "nan", "CTF/ZernikeCoeffsEven, coefficient 1 is 'nan'"),
        ("ZernikeCoeffsEven", "0;0;0;0;0;0;0;0;1", "beyond the 8 that are known"),
    ],
)
def test_wrong_coefficients(key, text, message):
    with pytest.raises(InputError, match=r"S\.xml: ") as caught:
        optics_from_xml(series({key: text}), SETTINGS)
    assert message in str(caught.value)


def test_what_is_not_finite_is_never_written():
    xml = series({"Voltage": 300})
    before = optics_from_xml(xml, SETTINGS)
    for name in ("zernike_odd_rad", "phase_shift_rad", "astigmatism_um"):
        with pytest.raises(ValueError, match=r"nan|finite"):
            xml_with_optics(xml, replace(before, **{name: getattr(before, name) + torch.nan}), before)


@pytest.mark.parametrize(("key", "value"), [("Voltage", 0), ("Voltage", -300), ("Amplitude", 1), ("Amplitude", -0.1)])
def test_impossible_values(key, value):
    with pytest.raises(InputError, match=rf"S\.xml: CTF/{key} is"):
        optics_from_xml(series({key: value}), SETTINGS)
