"""The sign of depth, found in simulated images."""

from dataclasses import replace

import pytest

from mlit.maps.references import ReferenceSettings
from mlit.project.warp_project import load_warp_project
from mlit.simulation.config_mapping import config_from_mapping
from mlit.simulation.simulate import simulate
from mlit.training.depth_hands import compare_hands
from mlit.training.series_setup import Species
from tests.tiny_project import DIAMETER, TINY, merged

THICK = merged(
    TINY,
    {
        "seed": 4,
        "microscope": {"contrast": 1.0, "mean_free_path_angstrom": 20000.0},
        "sample": {"particles": 24, "thickness_angstrom": 2000.0},
        "picks": {"position_error_angstrom": 2.0, "rotation_error_deg": 1.5},
        "deformation": {
            "depth_inverted": False,
            "shift_error_angstrom": 0.5,
            "image_warp_error_angstrom": 0.5,
        },
    },
)


def load(root):
    return load_warp_project(
        root / "warp_tiltseries.settings", root / "particles.star", particle_diameter_angstrom=DIAMETER
    )


def compare(project, particles=200):
    species = Species("particle", DIAMETER, "C1", ewald="none")
    return compare_hands(project, species, ReferenceSettings(DIAMETER), particles)


def turned(project, names):
    """The project with the opposite sign of depth stated for some of its series."""
    series = tuple(
        replace(s, geometry=replace(s.geometry, depth_inverted=not s.geometry.depth_inverted)) if s.name in names else s
        for s in project.series
    )
    return replace(project, series=series)


@pytest.fixture(scope="module")
def thick(tmp_path_factory):
    root = tmp_path_factory.mktemp("thick") / "project"
    simulate(config_from_mapping(THICK), root, lambda line: None)
    return load(root)


def test_the_true_sign_is_found(thick):
    test = compare(thick)
    assert test.together.verdict == "as stated"
    assert all(one.sigmas > 2 for one in test.series.values())
    assert test.together.particles == 48
    assert test.resolution_angstrom < 25
    assert 300 < test.depth_angstrom < 700


def test_the_wrong_sign_is_found(thick):
    test = compare(turned(thick, ("TS_01", "TS_02")))
    assert test.together.verdict == "opposite"
    assert test.together.sigmas == pytest.approx(-compare(thick).together.sigmas, rel=1e-3)


def test_a_series_that_differs_from_the_others_is_told_by_name(thick):
    test = compare(turned(thick, ("TS_02",)))
    assert test.series["TS_01"].sigmas > 2
    assert test.series["TS_02"].sigmas < -2


def test_few_particles_are_drawn_from_both_half_sets(thick):
    test = compare(thick, particles=6)
    assert [one.particles for one in test.series.values()] == [6, 6]


def test_images_of_nothing_tell_nothing(tmp_path):
    blank = merged(THICK, {"microscope": {"contrast": 1e-3}})
    simulate(config_from_mapping(blank), tmp_path / "project", lambda line: None)
    test = compare(load(tmp_path / "project"))
    assert {one.verdict for one in (test.together, *test.series.values())} == {"cannot tell"}
