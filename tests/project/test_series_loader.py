import numpy as np
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


def test_estimated_weights_and_bfactors(tiny):
    grids = {
        "GridDoseWeights": np.array([1.0, 0.9, 0.8, 0.7]).reshape(4, 1, 1),
        "GridDoseBfacs": -np.array([10.0, 0.0, 5.0, 20.0]).reshape(4, 1, 1),
    }
    TiltSeriesXml.read(tiny.xml("A")).with_grids(grids).with_attributes({"Bfactor": -16.5}).write(tiny.xml("A"))
    constant = {"GridDoseWeights": np.zeros((1, 1, 1)), "GridDoseBfacs": np.zeros((4, 1, 1))}
    TiltSeriesXml.read(tiny.xml("B")).with_grids(constant).write(tiny.xml("B"))
    first, second, _ = load_warp_project(tiny.settings, tiny.particles).series
    assert first.tilt_weight is not None
    assert first.tilt_bfactor_angstrom2 is not None
    assert first.tilt_weight.tolist() == [1.0, 0.9, 0.8, 0.7]
    assert first.tilt_bfactor_angstrom2.tolist() == [-10, 0, -5, -20]
    assert first.bfactor_angstrom2 == -16.5
    assert second.tilt_weight is None
    assert second.tilt_bfactor_angstrom2 is None


def test_negative_weights_are_refused(tiny):
    grid = np.array([1.0, -0.9, 0.8, 0.7]).reshape(4, 1, 1)
    TiltSeriesXml.read(tiny.xml("A")).with_grids({"GridDoseWeights": grid}).write(tiny.xml("A"))
    assert "GridDoseWeights has negative" in load_warp_project(tiny.settings, tiny.particles).failures["A"]
