from dataclasses import replace

import lxml.etree as etree
import numpy as np
import pytest
import torch

from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.xml_geometry import geometry_from_xml, xml_with_geometry
from tests.support import shared_path

FIELDS = (
    *("tilt_angle_rad", "axis_angle_rad", "axis_offset_angstrom", "defocus_um", "level_angle_x_rad"),
    *("level_angle_y_rad", "image_warp", "stage_angles_rad", "volume_warp", "magnification"),
)
SIZES = ((400.0, 300.0, 200.0), (400.0, 300.0))


def small() -> TiltSeriesXml:
    lists = {"Angles": [-30, 0, 30.5], "Dose": [6, 0, 3], "AxisAngle": [85.3] * 3, "MoviePath": list("abc")}
    return TiltSeriesXml.new("S", lists, ctf={"Defocus": 2.5})


def child_texts(xml: TiltSeriesXml) -> dict[str, bytes]:
    return {child.tag: etree.tostring(child, with_tail=False) for child in xml.document.root}


def test_refined_series_of_m():
    xml = TiltSeriesXml.read(shared_path("golden", "TS_1.xml"))
    geometry = geometry_from_xml(xml, xml.volume_size_angstrom or (), xml.image_size_angstrom or ())
    assert geometry.image_warp.shape == (41, 4, 6, 2)
    assert float(geometry.image_warp[0, 0, 1, 0]) == -0.3384567
    assert float(geometry.image_warp[0, 0, 0, 1]) == 5.059104
    assert geometry.stage_angles_rad.shape == (41, 1, 1, 3)
    assert float(torch.rad2deg(geometry.stage_angles_rad[0, 0, 0, 2])) == pytest.approx(0.61072963)
    assert geometry.volume_warp.shape == (1, 1, 1, 1, 3)
    assert float(geometry.defocus_um[1]) == 2.945082
    assert not geometry.depth_inverted


def test_unchanged_geometry_changes_no_text():
    xml = TiltSeriesXml.read(shared_path("golden", "TS_1.xml"))
    geometry = geometry_from_xml(xml, xml.volume_size_angstrom or (), xml.image_size_angstrom or ())
    again = xml_with_geometry(xml, geometry)
    assert etree.tostring(again.document.tree) == etree.tostring(xml.document.tree)


def test_scalar_defocus_where_the_grid_is_missing_or_unset():
    assert geometry_from_xml(small(), *SIZES).defocus_um.tolist() == [2.5] * 3
    unset = small().with_grids({"GridCTF": np.zeros((1, 1, 1))})
    assert geometry_from_xml(unset, *SIZES).defocus_um.tolist() == [2.5] * 3
    constant = small().with_grids({"GridCTF": np.full((1, 1, 1), 3.0)})
    assert geometry_from_xml(constant, *SIZES).defocus_um.tolist() == [3.0] * 3


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_round_trips_alone(field, tmp_path):
    generator = torch.Generator().manual_seed(3)
    shapes = {"image_warp": (3, 4, 5, 2), "stage_angles_rad": (3, 1, 1, 3), "volume_warp": (4, 2, 3, 5, 3)}
    before = geometry_from_xml(small(), *SIZES)
    old = getattr(before, field)
    new = 0.1 * torch.rand(shapes.get(field, tuple(old.shape)), generator=generator, dtype=torch.float64) + 0.5
    xml = xml_with_geometry(small(), replace(before, **{field: new.requires_grad_()}))
    xml.write(tmp_path / "S.xml")
    after = geometry_from_xml(TiltSeriesXml.read(tmp_path / "S.xml"), *SIZES)
    torch.testing.assert_close(getattr(after, field), new.detach(), atol=1e-15, rtol=1e-15)
    for other in set(FIELDS) - {field}:
        assert torch.equal(getattr(after, other), getattr(before, other))


def test_only_changed_grids_change():
    xml = TiltSeriesXml.read(shared_path("golden", "TS_1.xml"))
    geometry = geometry_from_xml(xml, xml.volume_size_angstrom or (), xml.image_size_angstrom or ())
    warp = geometry.image_warp.clone()
    warp[7, 1, 2, 0] += 1e-9
    before, after = child_texts(xml), child_texts(xml_with_geometry(xml, replace(geometry, image_warp=warp)))
    assert [tag for tag in before if before[tag] != after[tag]] == ["GridMovementX"]


def test_what_is_not_finite_is_never_written():
    before = geometry_from_xml(small(), *SIZES)
    with pytest.raises(ValueError, match="GridCTF"):
        xml_with_geometry(small(), replace(before, defocus_um=torch.full_like(before.defocus_um, torch.nan)))


def test_one_component_that_is_a_single_node_takes_the_size_of_the_others():
    xml = small().with_grids({"GridMovementX": np.ones((3, 2, 2)), "GridMovementY": np.full((1, 1, 1), 5.0)})
    warp = geometry_from_xml(xml, *SIZES).image_warp
    assert warp.shape == (3, 2, 2, 2)
    assert (warp[..., 1] == 5).all()
