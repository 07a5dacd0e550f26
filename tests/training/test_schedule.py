import pytest

from mlit.errors import InputError
from mlit.training.schedule import Iteration, Schedule

POSES = ("poses",)


def schedule(*resolutions, coarsest=50.0):
    return Schedule(tuple(Iteration(r, POSES) for r in resolutions), 12.0, coarsest)


def test_epochs_count_the_first_reconstruction():
    assert schedule().epochs == 1
    assert schedule(None, None).epochs == 3


@pytest.mark.parametrize(
    ("asked", "significant", "expected"),
    [(None, 25.0, 25.0), (None, 8.0, 12.0), (20.0, 25.0, 20.0), (5.0, 25.0, 12.0), (90.0, 384.0, 50.0)],
)
def test_fit_looks_as_far_as_asked_or_as_maps_agree_within_bounds(asked, significant, expected):
    assert schedule(asked).fit_resolution(1, significant) == expected


def test_nothing_is_fitted_to_references_that_agree_on_nothing():
    assert schedule(None).fit_resolution(1, 50.1) is None
    assert schedule(30.0).fit_resolution(1, 384.0) == 30.0


def test_maps_of_first_and_last_epoch_go_to_nyquist():
    plan = schedule(None, None, None)
    assert plan.map_resolution(0, None) == 12.0
    assert plan.map_resolution(3, 30.0) == 12.0
    assert 12.0 < plan.map_resolution(1, 30.0) < 30.0
    assert plan.map_resolution(2, 14.0) == 12.0


def test_maps_before_a_fixed_resolution_reach_it():
    plan = schedule(None, 15.0, None)
    assert 12.0 < plan.map_resolution(1, 40.0) < 15.0


@pytest.mark.parametrize(("resolution", "blocks"), [(None, ("pose",)), (0.0, POSES), (-3.0, POSES)])
def test_impossible_iterations_are_refused(resolution, blocks):
    with pytest.raises(InputError, match=r"schedule\.iterations"):
        Iteration(resolution, blocks)
