import pytest

from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.warp_project import load_warp_project


def test_sizes_of_the_xml_win_and_rounding_follows(tiny):
    xml = TiltSeriesXml.read(tiny.xml("A")).with_attributes(
        {"ImageDimensionsAngstrom": (98.0, 63.0), "VolumeDimensionsAngstrom": (90, 60, 50)}
    )
    xml.write(tiny.xml("A"))
    geometry = load_warp_project(tiny.settings, tiny.particles).series[0].geometry
    assert geometry.volume_size_angstrom.tolist() == [90, 60, 50]
    assert geometry.image_size_angstrom.tolist() == [98, 63]
    assert geometry.size_rounding.tolist() == pytest.approx([96 / 98, 64 / 63])
