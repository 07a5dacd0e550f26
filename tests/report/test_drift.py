"""Paths of particles over the dose against the particle table."""

import numpy as np
import pytest

from mlit.io.star import write_star
from mlit.report.drift import draw_drift, drift_numbers, drift_parts
from mlit.report.run_folder import RunFolder


@pytest.fixture
def folder(fake):
    """Believed particle i moves i Å along x to its second pose, and back to 4 Å along y for its third."""
    folder, table = fake.write(), fake.particles()
    for k in (2, 3):
        table = table.assign(**{f"wrpCoordinate{a}{k}": table[f"wrpCoordinate{a}1"] for a in "XYZ"})
    table["wrpCoordinateX2"] += np.arange(12) - 2
    table["wrpCoordinateY3"] += 4
    table.loc[0, "wrpCoordinateZ3"] += 1000  # of a doubted pick
    write_star(folder / "molecule" / "particles.star", {"": table})
    return folder


def test_distances_are_from_the_first_pose_over_the_dose(folder):
    found = drift_numbers(RunFolder(folder), "molecule")
    np.testing.assert_allclose(found.along, [0, 6, 12])
    assert found.has_dose
    np.testing.assert_allclose(found.distance_angstrom[:, 0], 0)
    np.testing.assert_allclose(found.distance_angstrom[:, 1], np.arange(10))
    np.testing.assert_allclose(found.distance_angstrom[:, 2], 4)
    assert len(found.shown) == 10


def test_the_figure_has_median_spread_and_some_particles(folder):
    part = draw_drift(drift_numbers(RunFolder(folder), "molecule"), "molecule")
    for word in ("median", "half of them", "nine of ten particles", "some particles", "dose, e/Å²", "Å"):
        assert word in part.body
    assert "10 believed particles" in part.caption
    assert part.body.count('class="dot c2"') == 3


def test_without_doses_the_share_of_the_exposure_stands_there(folder):
    (folder / "tilts.csv").unlink()
    found = drift_numbers(RunFolder(folder), "molecule")
    np.testing.assert_allclose(found.along, [0, 0.5, 1])
    assert "share of the exposure" in draw_drift(found, "molecule").body


def test_no_figure_of_particles_with_one_pose(fake):
    assert drift_parts(RunFolder(fake.write())) == []
