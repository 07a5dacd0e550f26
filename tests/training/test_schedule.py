import pytest

from mlit.errors import InputError
from mlit.training.schedule import Iteration, Schedule, never_refined

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


def test_an_iteration_repeats_the_one_before_where_blocks_and_resolution_are_the_same():
    first, later = Iteration(None, ("poses",)), Iteration(None, ("poses", "defocus"))
    schedule = Schedule((first, later, later, later), 4.0)
    assert schedule.repeats(3, 10.0, 9.9)
    assert not schedule.repeats(3, 10.0, 9.0), "finer detail takes part"
    assert not schedule.repeats(2, 10.0, 10.0), "other blocks take part"
    assert not Schedule((later, later, first), 4.0).repeats(2, 10.0, 10.0), "other blocks come later"
    assert not schedule.repeats(5, 10.0, 10.0), "there is no such epoch"
    assert Schedule((later, later), 4.0).repeats(2, 4.0, 3.0), "Nyquist is the end"
    fixed = tuple(Iteration(angstrom, ("poses",)) for angstrom in (10.0, 8.0))
    assert not Schedule(fixed, 4.0).repeats(2, 10.0, 10.0)


def test_where_nothing_can_be_fitted_nothing_is_repeated():
    later = Iteration(None, ("poses",))
    assert not Schedule((later, later), 4.0, coarsest_angstrom=30.0).repeats(2, 30.0, 31.0)


def test_iterations_differ_only_by_what_the_models_have():
    iteration = Iteration(8.0, ("poses", "image_warp", "magnification"), True)
    assert iteration.limited_to(("poses", "image_warp", "defocus")) == Iteration(8.0, ("poses", "image_warp"), True)


def test_blocks_that_no_iteration_names_are_found():
    iterations = (Iteration(None, ("poses", "image_warp")), Iteration(None, ("poses", "defocus")))
    assert never_refined(iterations, ["image_warp", "volume_warp", "defocus"]) == ["volume_warp"]
    assert never_refined((), ["volume_warp"]) == [], "who reconstructs only wants no fits"


def test_first_epoch_that_refines_a_block():
    plan = Schedule(tuple(Iteration(None, blocks) for blocks in (POSES, ("poses", "defocus"), ("defocus",))), 12.0)
    assert plan.first_to_refine("defocus") == 2
    assert plan.first_to_refine("poses") == 1
    assert plan.first_to_refine("image_warp") is None
