import math

import numpy as np
import pytest

from mlit.maps.rosenthal_henderson import rosenthal_henderson

PARTICLES = [500, 1000, 2000, 4000, 8000]


def resolutions(bfactor, intercept=0.0, scatter=0.0, seed=0):
    noise = np.random.default_rng(seed).normal(size=len(PARTICLES)) * scatter
    return ((intercept + 2 / bfactor * np.log(PARTICLES) + noise) ** -0.5).tolist()


def test_line_gives_the_decay_and_predicts():
    line = rosenthal_henderson(PARTICLES, resolutions(120.0, -0.05))
    assert line.decay_angstrom2 == pytest.approx(120)
    assert line.decay_error_angstrom2 == pytest.approx(0, abs=1e-6)
    assert line.resolution_angstrom(2000) == pytest.approx(resolutions(120.0, -0.05)[2])
    assert line.particles_for(line.resolution_angstrom(32000)) == pytest.approx(32000)
    assert line.resolution_angstrom(1) == math.inf


def test_errors_are_as_large_as_the_scatter():
    lines = [rosenthal_henderson(PARTICLES, resolutions(120.0, 0.0, 0.004, seed)) for seed in range(400)]
    slopes = np.array([line.slope for line in lines])
    stated = np.sqrt(np.mean([line.slope_error**2 for line in lines]))
    assert slopes.mean() == pytest.approx(2 / 120, rel=0.02)
    assert stated == pytest.approx(slopes.std(), rel=0.1)
    assert lines[0].decay_error_angstrom2 == pytest.approx(120 * lines[0].slope_error / lines[0].slope, rel=0.3)


def test_more_particles_that_bring_nothing():
    line = rosenthal_henderson(PARTICLES, [8.0, 8.0, 8.1, 8.2, 8.3])
    assert line.decay_angstrom2 == math.inf
    assert line.particles_for(4.0) == math.inf


def test_too_few_subsets():
    assert rosenthal_henderson([100, 200], [9.0, 8.0]).slope_error == math.inf
    with pytest.raises(ValueError, match="two different"):
        rosenthal_henderson([100, 100], [9.0, 8.0])
