"""Advice after a run: every rule, on figures made up for it."""

from dataclasses import replace

import pytest

from mlit.project.recommend import advise, with_more_particles
from mlit.project.recommend_figures import BlockFigures, Movement, RunFigures, SeriesFigures
from mlit.project.recommend_loss import expected_loss, known_blocks, loss
from mlit.project.recommend_steps import judge_step

MODEL = {
    "poses": {"temporal_samples": 1, "motion_prior_angstrom": 3.0},
    "image_warp": {"enabled": True, "grid": [4, 4], "warp_prior_angstrom": 4.0, "smoothness": 0.5},
    "volume_warp": {"enabled": True, "grid": [3, 3, 2, 8], "motion_prior_angstrom": 5.0},
    "stage_angles": {"enabled": True, "prior_deg": 0.5},
    "defocus": {"enabled": True, "prior_um": 0.06, "search_um": 0.0},
    "astigmatism": {"enabled": False, "prior_um": 0.03},
    "spherical_aberration": {"enabled": False, "prior_mm": 0.1},
    "even_aberrations": {"enabled": False, "prior_deg": 15.0, "prior_resolution_angstrom": 4.0, "orders": [4]},
    "odd_aberrations": {"enabled": False, "prior_deg": 15.0, "prior_resolution_angstrom": 4.0, "orders": [3]},
    "magnification": {"enabled": False, "prior_percent": 0.5},
}
BLOCKS = {
    "image_warp": BlockFigures(4.3, 2.2, 4.9),
    "volume_warp": BlockFigures(2.0, 1.0, 3.0),
    "stage_angles": BlockFigures(0.3, 0.15, 0.35),
    "defocus": BlockFigures(0.045, 0.02, 0.05),
}
SERIES = tuple(SeriesFigures(f"TS_{n}", 40, 1200, 25.0, volume_um3=0.05) for n in (1, 2, 3))

DONE = RunFigures(
    series=SERIES,
    diameter_angstrom=250.0,
    finest_angstrom=5.0,
    resolutions_angstrom=(25.0, 17.1, 17.0),
    model=MODEL,
    fitted_to_angstrom=17.0,
    moved=(Movement(8.0, 5.0), Movement(0.2, 0.1)),
    expected_error=Movement(0.8, 0.4),
    pose_error_angstrom=1.0,
    blocks=BLOCKS,
)
"""Settled at 17 Å, where no block that is switched off would show."""


def with_model(run, **changes):
    return replace(run, model=run.model | {block: run.model[block] | change for block, change in changes.items()})


def said(run):
    return [advice.what for advice in advise(run)]


def only(run, what):
    found = [advice for advice in advise(run) if advice.what == what]
    assert len(found) == 1, said(run)
    return found[0]


def test_a_settled_run_may_stop():
    (advice,) = advise(DONE)
    assert advice.what == "stop, and look at the map"
    assert advice.verb == "postprocess"
    assert "17.00 Å" in advice.why


def test_it_says_what_twice_the_particles_would_give():
    assert with_more_particles(replace(DONE, decay_angstrom2=1000.0), 2) == pytest.approx(14.36, abs=0.01)
    assert "twice the particles would give about 14.4 Å" in advise(replace(DONE, decay_angstrom2=1000.0))[0].why
    assert "particles" not in advise(replace(DONE, decay_angstrom2=1e6))[0].why


def test_nothing_is_built_on_maps_that_show_a_blob():
    (advice,) = advise(replace(DONE, resolutions_angstrom=(80.0, 70.0)))
    assert (advice.what, advice.verb) == ("look for what is wrong first", "inspect")
    assert "70 Å" in advice.why
    assert "62 Å" in advice.why


def test_nothing_is_built_on_maps_that_predict_nothing():
    worse = tuple(replace(one, held_out=-0.5) for one in SERIES)
    (advice,) = advise(replace(DONE, series=worse))
    assert advice.verb == "inspect"
    assert "-0.50" in advice.why


def test_maps_of_a_project_as_it_stands_ask_for_a_refinement():
    start = replace(DONE, fitted_to_angstrom=None, moved=(), blocks={}, resolutions_angstrom=(20.0,))
    assert said(start) == ["refine"]
    assert only(start, "refine").words == ("schedule=standard",)


@pytest.mark.parametrize(
    "change",
    [
        {"moved": (Movement(8.0, 5.0), Movement(0.9, 0.1))},
        {"moved": (Movement(8.0, 5.0), Movement(0.2, 0.5))},
        {"resolutions_angstrom": (25.0, 17.6, 17.0)},
    ],
)
def test_what_has_not_settled_goes_on(change):
    assert only(replace(DONE, **change), "the same again").words == ("schedule=once",)


SHOWS_AT = {
    "volume_warp": 64.0,
    "stage_angles": 21.7,
    "defocus": 13.6,
    "magnification": 12.4,
    "astigmatism": 6.8,
    "odd_aberrations": 4.9,
    "even_aberrations": 4.7,
    "spherical_aberration": 2.8,
}
"""Detail in Å at which the errors that a prior expects cost 2 % of the amplitude: 250 Å, 300 kV."""


@pytest.mark.parametrize("block", SHOWS_AT)
def test_a_block_is_tried_once_its_usual_errors_show(block):
    without = with_model(DONE, **{block: {"enabled": False}})
    without = replace(without, blocks={name: found for name, found in BLOCKS.items() if name != block})
    for share, expected in ((0.95, True), (1.05, False)):
        detail = share * SHOWS_AT[block]
        run = replace(without, resolutions_angstrom=(detail, detail), fitted_to_angstrom=detail, finest_angstrom=1.0)
        assert (expected_loss(block, run) > 0.02) == expected
        if detail < 60:
            assert (f"try {block}" in said(run)) == expected


def test_the_change_and_its_reason():
    fine = replace(DONE, resolutions_angstrom=(9.0, 9.0), fitted_to_angstrom=9.0)
    advice = only(fine, "try magnification")
    assert advice.change == {"magnification": {"enabled": True}}
    assert advice.why == "errors of 0.5 %, as its prior expects, would cost 4 % of the amplitude at 9.0 Å"


def test_what_was_tried_is_not_tried_again():
    fine = replace(DONE, resolutions_angstrom=(9.0, 9.0), fitted_to_angstrom=9.0)
    assert "try magnification" in said(fine)
    assert "try magnification" not in said(replace(fine, compared=({"magnification": {"enabled": True}},)))


@pytest.mark.parametrize(("particles", "grid"), [(36, None), (20, [2, 2, 1, 8])])
def test_a_volume_warp_gets_as_many_nodes_as_there_are_particles_for(particles, grid):
    series = tuple(replace(one, particles=particles) for one in SERIES)
    run = with_model(replace(DONE, series=series), volume_warp={"enabled": False})
    run = replace(run, blocks={name: found for name, found in BLOCKS.items() if name != "volume_warp"})
    change = only(run, "try volume_warp").change
    assert change is not None
    assert change["volume_warp"].get("grid") == grid
    few = replace(run, series=tuple(replace(one, particles=5) for one in SERIES))
    assert "try volume_warp" not in said(few)


def test_a_finer_image_warp_needs_particles():
    many = replace(DONE, series=tuple(replace(one, particles=72) for one in SERIES))
    advice = only(many, "try a finer image warp")
    assert advice.change == {"image_warp": {"grid": [6, 6]}}
    assert "72 particles" in advice.why
    assert "try a finer image warp" not in said(replace(DONE, series=tuple(replace(s, particles=71) for s in SERIES)))


def test_a_coarser_image_warp_is_tried_where_nodes_outnumber_particles():
    few = replace(DONE, series=tuple(replace(one, particles=7) for one in SERIES))
    assert only(few, "try a coarser image warp").change == {"image_warp": {"grid": [2, 2]}}
    oblong = with_model(few, image_warp={"grid": [6, 4]})
    assert only(oblong, "try a coarser image warp").change == {"image_warp": {"grid": [4, 3]}}


def test_a_block_that_found_nothing_is_tried_without():
    nothing = replace(DONE, blocks=BLOCKS | {"stage_angles": BlockFigures(0.1, 0.18, 0.2)})
    advice = only(nothing, "try without stage_angles")
    assert advice.change == {"stage_angles": {"enabled": False}}
    assert "0.90 of its prior" in advice.why
    assert "try without stage_angles" not in said(replace(nothing, continued=True))
    shows = replace(nothing, blocks=BLOCKS | {"stage_angles": BlockFigures(0.4, 0.45, 0.5)})
    assert "try without stage_angles" not in said(shows)


def test_series_that_are_predicted_worse_than_by_nothing_are_left_out():
    bad = replace(DONE, series=(*SERIES[:2], replace(SERIES[2], held_out=-1.0)))
    assert "data.exclude=[TS_3]" in only(bad, "leave out TS_3").words


def test_rejected_fits_are_pointed_at():
    assert (
        only(replace(DONE, series=(*SERIES[:2], replace(SERIES[2], rejected=True))), "look at TS_3 in mlit.log").verb
        == ""
    )


def test_more_false_picks_than_expected():
    run = replace(DONE, suspects={"false pick": 24})
    assert only(run, "expect 20 % of false picks").words[0] == "species.false_fraction=0.20"
    assert said(replace(DONE, suspects={"false pick": 12})) == ["stop, and look at the map"]
    few = replace(DONE, series=tuple(replace(one, particles=7) for one in SERIES), suspects={"false pick": 3})
    assert not [what for what in said(few) if "false picks" in what]


def test_a_defocus_far_off_is_searched():
    far = replace(DONE, blocks=BLOCKS | {"defocus": BlockFigures(0.09, 0.02, 0.05, outliers=0.03)})
    assert "search the defocus" not in said(far)
    far = replace(far, resolutions_angstrom=(7.0, 7.0), fitted_to_angstrom=7.0)
    assert only(far, "search the defocus").words[0] == "model.defocus.search_um=0.3"
    assert "search the defocus" not in said(with_model(far, defocus={"search_um": 0.3}))


def test_moving_particles_need_images_that_tell():
    fine = replace(DONE, resolutions_angstrom=(8.0, 8.0), fitted_to_angstrom=8.0, pose_error_angstrom=0.4)
    assert only(fine, "try two poses of each particle over the exposure").words[0] == "model.poses.temporal_samples=2"
    assert "try two poses of each particle over the exposure" not in said(replace(fine, pose_error_angstrom=0.5))


def test_weights_are_for_series_that_differ():
    unequal = replace(DONE, series=(*SERIES[:2], replace(SERIES[2], held_out=10.0)))
    assert only(unequal, "estimate weights of series and tilts").verb == "weights"
    assert "estimate weights of series and tilts" not in said(replace(unequal, weighted=True))


def test_smaller_pixels_where_maps_were_binned():
    end = replace(DONE, finest_angstrom=16.5, binned=True)
    assert "species.pixel_size_angstrom=null" in only(end, "take smaller pixels").words
    assert "images with smaller pixels" in advise(replace(end, binned=False))[0].why


@pytest.mark.parametrize("block", known_blocks())
def test_losses_grow_with_errors_and_stay_below_all(block):
    assert loss(block, 0.0, DONE) == 0
    values = [loss(block, rms, DONE) for rms in (0.01, 0.1, 1.0)]
    assert 0 < values[0] < values[1] < values[2] <= 1


def test_a_loss_in_figures():
    """A shift of a twentieth of the detail costs 5 %; 0.06 µm are 21° at 10 Å and 300 kV, which costs 7 %."""
    run = replace(DONE, resolutions_angstrom=(10.0, 10.0), fitted_to_angstrom=10.0)
    assert loss("image_warp", 0.5, run) == pytest.approx(0.048, abs=0.001)
    assert loss("defocus", 0.06, run) == pytest.approx(0.067, abs=0.001)


def test_a_step_is_judged_series_by_series():
    better = replace(
        DONE, series=tuple(replace(s, held_out=25.0 + g) for s, g in zip(SERIES, (1.0, 1.1, 0.9), strict=True))
    )
    verdict = judge_step(DONE, better)
    assert verdict.better is True
    assert "+1.000 ± 0.058 over 3 series" in verdict.text
    assert judge_step(better, DONE).better is False
    unsure = replace(
        DONE, series=tuple(replace(s, held_out=25.0 + g) for s, g in zip(SERIES, (1.0, -1.1, 0.9), strict=True))
    )
    assert judge_step(DONE, unsure).better is None


def test_scores_at_other_detail_are_not_compared():
    assert judge_step(DONE, replace(DONE, fitted_to_angstrom=15.0)).better is None
    assert "cannot be compared" in judge_step(DONE, replace(DONE, fitted_to_angstrom=15.0)).text
    assert judge_step(replace(DONE, series=SERIES[:2]), DONE).better is None
