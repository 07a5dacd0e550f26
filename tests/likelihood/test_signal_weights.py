"""Amplitude and decay of the signal by series, tilt, direction and place."""

import pytest
import torch

from mlit.likelihood.signal_weights import PlaceFactors, SignalWeights
from mlit.optics.dose import critical_exposure_envelope

ANGLE = torch.tensor([-60.0, 0.0, 30.0], dtype=torch.float64).deg2rad()
DOSE = torch.tensor([30.0, 0.0, 10.0])
FREQUENCY = torch.tensor([0.0, 0.05, 0.1])


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_nothing_estimated_means_path_through_the_sample_and_radiation_damage():
    weights = SignalWeights()
    torch.testing.assert_close(weights.amplitude(ANGLE), ANGLE.cos().sqrt())
    expected = critical_exposure_envelope(FREQUENCY[None], DOSE[:, None])
    torch.testing.assert_close(weights.decay(FREQUENCY, DOSE), expected)
    assert weights.directional(torch.ones(2, 2)) is None
    assert weights.at_places(torch.zeros(1, 3, 2, dtype=torch.float64)) is None


def test_series_multiplies_amplitudes_and_adds_to_the_decay():
    tilts = vector(0.3, 1.0, 0.7)
    torch.testing.assert_close(SignalWeights(0.5, tilt_amplitude=tilts).amplitude(ANGLE), tilts / 2)
    ratio = SignalWeights(0.5, -80.0).decay(FREQUENCY, DOSE) / SignalWeights().decay(FREQUENCY, DOSE)
    torch.testing.assert_close(ratio, torch.exp(-20 * FREQUENCY.square()).expand(3, -1))


def test_tilt_bfactors_take_the_place_of_damage_but_are_never_weaker_than_warp_believes():
    """Of -200, -5 and -10 Å² at 30, 0 and 10 e/Å², the last becomes -3 · 10."""
    weights = SignalWeights(1.0, -8.0, tilt_bfactor_angstrom2=vector(-200, -5, -10))
    expected = torch.exp(torch.tensor([-208.0, -13.0, -38.0])[:, None] / 4 * FREQUENCY.square())
    torch.testing.assert_close(weights.decay(FREQUENCY, DOSE), expected)


def test_decay_is_weakest_along_the_direction_of_the_anisotropy():
    angle = torch.tensor(25.0).deg2rad()
    size = vector(100.0, 0.0, 40.0)
    vectors = size[:, None] * torch.stack([torch.cos(2 * angle), torch.sin(2 * angle)]).double()
    weights = SignalWeights(anisotropy_angstrom2=vectors)
    turned = torch.stack([torch.stack([torch.cos(a), torch.sin(a)]) for a in (angle, angle + torch.pi / 2)]) * 0.1
    expected = torch.exp(size[:, None] * torch.tensor([1.0, -1.0]) * 0.01 / 4).float()
    torch.testing.assert_close(weights.directional(turned), expected)


def test_places_are_those_of_a_spline_through_the_nodes():
    nodes = torch.zeros(1, 2, 3, 2, dtype=torch.float64)
    nodes[..., 0] = torch.tensor([[1.0, 0.8, 0.6], [0.5, 0.4, 0.3]])
    nodes[0, 1, :, 1] = -20
    where = torch.tensor([[[0.0, 0.0], [0.5, 1.0]], [[1.0, 0.5], [1.0, 0.0]]], dtype=torch.float64)
    found = SignalWeights(places=nodes).at_places(where)
    assert isinstance(found, PlaceFactors)
    torch.testing.assert_close(found.amplitude, torch.tensor([[1.0, 0.4], [0.45, 0.6]], dtype=torch.float64))
    torch.testing.assert_close(found.bfactor_angstrom2, torch.tensor([[0.0, -20.0], [-10.0, 0.0]], dtype=torch.float64))
    factor = found.at(torch.tensor([0, 1]), torch.tensor([1, 1]), FREQUENCY)
    torch.testing.assert_close(factor[0], 0.4 * torch.exp(-5 * FREQUENCY.square()))
    torch.testing.assert_close(factor[1], torch.full((3,), 0.6))


@pytest.mark.parametrize("index", range(3))
def test_one_tilt_alone_keeps_its_weights(index):
    weights = SignalWeights(0.5, -8.0, vector(0.2, 1, 0.5), vector(-300, -5, -90), torch.eye(3, 2).double())
    one = weights.tilt(index)
    torch.testing.assert_close(one.amplitude(ANGLE[[index]]), weights.amplitude(ANGLE)[[index]])
    torch.testing.assert_close(one.decay(FREQUENCY, DOSE[[index]])[0], weights.decay(FREQUENCY, DOSE)[index])
    plane = torch.rand(4, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(one.directional(plane)[0], weights.directional(plane)[index])
