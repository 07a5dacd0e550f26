"""How far poses may be off, and how far particles may move."""

import math

import pytest
import torch

from mlit.deformation.pose_prior import PosePrior


def covariance(prior, samples):
    factor = prior.factor(samples)
    return factor @ factor.transpose(-1, -2)


def test_a_single_pose_has_the_stated_widths():
    found = PosePrior([1.0, 2.0, 3.0], 4.0, 9.0, 9.0).factor(1)
    expected = torch.tensor([1.0, 2.0, 3.0, *[math.radians(4.0)] * 3], dtype=torch.float64)
    assert torch.allclose(found, expected[:, None, None])


@pytest.mark.parametrize("samples", [2, 3, 6])
def test_samples_share_an_error_and_walk_away_from_each_other(samples):
    """Two samples differ by the motion between their times; the middle of the exposure has the common error."""
    prior = PosePrior([8.0, 4.0, 2.0], 10.0, 3.0, 1.0)
    time = torch.linspace(0, 1, samples, dtype=torch.float64)
    apart = (time[:, None] - time).abs()
    widths = [(w, 3.0) for w in (8.0, 4.0, 2.0)] + [(math.radians(10.0), math.radians(1.0))] * 3
    for found, (common, motion) in zip(covariance(prior, samples), widths, strict=True):
        variance = found.diagonal()
        assert torch.allclose(variance[:, None] + variance - 2 * found, motion**2 * apart)
        assert torch.allclose(variance, common**2 + motion**2 * (time - 0.5).abs())


def test_axes_are_those_of_the_particle_where_widths_differ():
    assert not PosePrior(1.0, 2.0).along_own_axes
    assert PosePrior([1.0, 1.0, 3.0], 2.0).along_own_axes
    assert PosePrior(1.0, [2.0, 2.0, 5.0]).along_own_axes
