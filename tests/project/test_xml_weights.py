"""Weights in Warp's XML: read as Warp and M read them, and written so that they do."""

import numpy as np
import pytest
import torch

from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.likelihood.signal_weights import SignalWeights
from mlit.project.warp_project import load_warp_project
from mlit.project.xml_weights import weights_from_xml, xml_with_weights
from tests.support import shared_path

TILTS = 4  # of a tiny project; the last is not used


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def some_weights(**changes):
    anisotropy = 30 * torch.stack([vector(1, 0, -0.6, 0), vector(0, -1, 0.8, 0)], -1)
    places = torch.rand(1, 2, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = {
        "series_amplitude": 0.75,
        "series_bfactor_angstrom2": -16.5,
        "tilt_amplitude": vector(1, 0.9, 0.8, 0),
        "tilt_bfactor_angstrom2": vector(-40, -3.5, -50, -120),
        "anisotropy_angstrom2": anisotropy,
        "places": places,
    }
    return SignalWeights(**{**values, **changes})


def loaded(tiny, name="A"):
    return next(s for s in load_warp_project(tiny.settings, tiny.particles).series if s.name == name)


def written(tiny, weights, name="A"):
    path = tiny.xml(name)
    xml_with_weights(TiltSeriesXml.read(path), weights).write(path)


def same(one, other):
    assert one.series_amplitude == other.series_amplitude
    assert one.series_bfactor_angstrom2 == other.series_bfactor_angstrom2
    for name in ("tilt_amplitude", "tilt_bfactor_angstrom2", "anisotropy_angstrom2", "places"):
        first, second = getattr(one, name), getattr(other, name)
        assert (first is None) == (second is None), name
        if first is not None:
            torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-9)


def test_a_project_of_warp_states_no_weights(tiny):
    same(loaded(tiny).weights, SignalWeights())


def test_what_is_written_is_read(tiny):
    written(tiny, some_weights())
    same(loaded(tiny).weights, some_weights())


def test_parts_can_be_missing(tiny):
    weights = some_weights(anisotropy_angstrom2=None, places=None)
    written(tiny, weights)
    same(loaded(tiny).weights, weights)


def test_tilts_that_are_not_used_weigh_nothing(tiny):
    written(tiny, some_weights(tilt_amplitude=vector(1, 0.9, 0.8, 0.7)))
    grid = TiltSeriesXml.read(tiny.xml("A")).grid("GridDoseWeights")
    assert grid[:, 0, 0].tolist() == [1.0, 0.9, 0.8, 0.0]


def test_reset_leaves_nothing_and_the_rest_as_it_was(tiny):
    before = tiny.xml("B").read_text()
    written(tiny, some_weights(), "B")
    written(tiny, SignalWeights(), "B")
    same(loaded(tiny, "B").weights, SignalWeights())
    xml = TiltSeriesXml.read(tiny.xml("B"))
    for name, value in (("GridDoseWeights", 1.0), ("GridDoseBfacs", 0.0), ("GridLocationWeights", 1.0)):
        assert xml.grid(name, np.nan).tolist() == [[[value]]]
    assert xml.grid("GridCTF")[:, 0, 0].tolist() == [2.0, 2.1, 2.2, 2.3]
    assert before.count("GridCTF") == tiny.xml("B").read_text().count("GridCTF")


def test_one_value_for_all_tilts_was_never_estimated(tiny):
    grids = {"GridDoseWeights": np.ones((TILTS, 1, 1)), "GridDoseBfacs": np.zeros((TILTS, 1, 1))}
    TiltSeriesXml.read(tiny.xml("A")).with_grids(grids).write(tiny.xml("A"))
    same(loaded(tiny).weights, SignalWeights())


def test_one_of_the_two_grids_of_places_is_enough(tiny):
    grid = np.array([[[1.0, 0.5], [0.8, 0.7]]])
    TiltSeriesXml.read(tiny.xml("A")).with_grids({"GridLocationWeights": grid}).write(tiny.xml("A"))
    places = loaded(tiny).weights.places
    assert places[..., 0].tolist() == grid.tolist()
    assert not places[..., 1].any()


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("GridDoseWeights", np.array([1.0, -0.9, 0.8, 0.7]).reshape(4, 1, 1)),
        ("GridLocationWeights", np.array([[[1.0, -0.1]]])),
    ],
)
def test_negative_weights_are_refused(tiny, name, grid):
    TiltSeriesXml.read(tiny.xml("A")).with_grids({name: grid}).write(tiny.xml("A"))
    assert f"{name} has negative" in load_warp_project(tiny.settings, tiny.particles).failures["A"]


@pytest.mark.parametrize(
    ("grids", "message"),
    [
        ({"GridDoseBfacsDelta": np.ones((3, 1, 1))}, "GridDoseBfacsDelta has 1 × 1 × 3 nodes"),
        ({"GridLocationWeights": np.ones((3, 2, 2))}, "GridLocationWeights has nodes for 3 tilts"),
        ({"GridLocationWeights": np.ones((1, 2, 2)), "GridLocationBfacs": np.ones((1, 2, 3))}, "differ in size"),
    ],
)
def test_grids_that_do_not_fit_are_refused(tiny, grids, message):
    TiltSeriesXml.read(tiny.xml("A")).with_grids(grids).write(tiny.xml("A"))
    assert message in load_warp_project(tiny.settings, tiny.particles).failures["A"]


def test_weights_that_m_has_fitted():
    """EMPIAR-10491: M's own file. Decay in use is at least 3 Å² for each e/Å², and the series adds its own."""
    xml = TiltSeriesXml.read(shared_path("golden", "TS_1.xml"))
    weights = weights_from_xml(xml)
    assert weights.series_bfactor_angstrom2 == pytest.approx(-16.02326)
    assert weights.series_amplitude == 1
    assert weights.anisotropy_angstrom2 is None
    assert weights.places is None
    assert float(weights.tilt_amplitude[0]) == pytest.approx(0.22148241)
    dose, k = torch.from_numpy(xml.dose), torch.tensor([0.3])
    decay = weights.decay(k, dose)[:, 0].log() / (0.09 / 4)
    assert float(decay[0]) == pytest.approx(-3 * 120 - 16.02326, rel=1e-4)
    assert float(decay[20]) == pytest.approx(-15.984922 - 16.02326, rel=1e-4)
    same(weights_from_xml(xml_with_weights(xml, weights)), weights)
