"""Each solver on the same fit, and what the tables say about it."""

import pytest

from mlit.benchmark.data import refinement_config
from mlit.benchmark.solver_comparison import TARGETS, candidates, compare_solvers
from mlit.benchmark.solver_ratios import ratios
from mlit.benchmark.solver_report import attempts_table, comparison_as_json, ratios_table
from mlit.errors import InputError


def test_all_solvers_start_from_the_same_objective(attempts):
    assert [a.solver for a in attempts] == ["gauss_newton", "lbfgs", "adam"]
    assert {a.resolution_angstrom for a in attempts} == {40.0}
    optimum = attempts[0].gain
    assert all(a.gain + a.below_optimum == pytest.approx(optimum) for a in attempts)


def test_gauss_newton_defines_the_optimum_and_needs_the_fewest_passes(attempts):
    first, lbfgs, _ = attempts
    assert (first.below_optimum, first.rms_deviations) == (0, 0)
    assert None not in first.passes_to.values()
    assert first.passes_to["1 %"] < lbfgs.passes_to["1 %"]
    assert first.seconds >= first.seconds_to["1 unit"] > 0


def test_lbfgs_ends_at_the_same_optimum(attempts):
    lbfgs = attempts[1]
    assert lbfgs.below_optimum < 1
    assert lbfgs.rms_deviations < 0.2


def test_a_target_that_was_not_reached_is_none_and_its_ratio_a_bound(attempts):
    adam = attempts[2]
    assert adam.passes_to["1 %"] is None
    bounds = {r.solver: r.at_least for r in ratios(attempts) if r.target == "1 %"}
    assert bounds == {"lbfgs": False, "adam": True}


def test_ratios_compare_the_best_settings_with_gauss_newton(attempts):
    first, lbfgs, _ = attempts
    found = {(r.solver, r.target): r for r in ratios([*attempts, lbfgs])}
    assert len(found) == 2 * len(TARGETS)
    assert found["lbfgs", "10 %"].passes == lbfgs.passes_to["10 %"] / first.passes_to["10 %"]


def test_tables_have_a_line_for_each_fit_and_ratio(attempts):
    found = ratios(attempts)
    assert len(attempts_table(attempts).splitlines()) == 2 + len(attempts)
    assert len(ratios_table(found).splitlines()) == 2 + len(found)
    assert set(comparison_as_json(attempts, found)) == {"fits", "ratios"}


def test_a_schedule_that_is_too_short_is_refused(attempts, tmp_path):
    words = ["data.settings=none.settings", "data.particles=none.star", "species.diameter=100"]
    with pytest.raises(InputError, match="4 iterations"):
        compare_solvers(refinement_config(words, tmp_path), 4, None, candidates(3), print)
