"""Levenberg-Marquardt on problems with a known maximum."""

import math

import pytest
import torch

from mlit.optim.arrow import ArrowSystem
from mlit.optim.levenberg_marquardt import Settings, maximise


class Quadratic:
    """``-|x - target|² / 2`` for two items of two and three shared parameters, with an optional distortion.

    ``trust`` scales the curvature that is reported, ``values`` replaces the objective pass by pass.
    """

    def __init__(self, trust=1.0, values=None):
        self.item = torch.zeros(2, 2, dtype=torch.float64)
        self.shared = torch.full((3,), 0.1, dtype=torch.float64)
        self.target = torch.tensor([0.1, 0.2, 0.3]).double()
        self.trust, self.values = trust, list(values or [])
        self.visited, self.before = [], None

    def true_value(self):
        return float(-(self.item - 0.7).square().sum() / 2 - (self.shared - self.target).square().sum() / 2)

    def evaluate(self):
        self.visited.append((self.item.clone(), self.shared.clone()))
        return self.values.pop(0) if self.values else self.true_value()

    def system(self):
        eye = torch.eye(2, dtype=torch.float64).expand(2, 2, 2) * self.trust
        core = torch.eye(3, dtype=torch.float64) * self.trust
        zero = torch.zeros(2, 2, 3, dtype=torch.float64)
        return ArrowSystem(eye, zero, core, 0.7 - self.item, self.target - self.shared)

    def move(self, item, shared):
        self.before = self.item, self.shared
        self.item, self.shared = self.item + item, self.shared + shared

    def undo(self):
        self.item, self.shared = self.before

    def step_size(self, item, shared):
        return float(torch.cat([item.flatten(), shared]).abs().max()) / 1e-2


def test_a_quadratic_is_done_in_one_step():
    problem = Quadratic()
    outcome = maximise(problem, Settings(max_passes=5, damping=1e-6))
    assert outcome.status == "converged"
    assert outcome.passes == 2
    assert outcome.end > outcome.start
    assert outcome.end == pytest.approx(0, abs=1e-8)
    assert torch.allclose(problem.item, torch.full((2, 2), 0.7, dtype=torch.float64), atol=1e-5)
    assert torch.allclose(problem.shared, problem.target, atol=1e-5)


def test_a_start_at_the_maximum_needs_one_pass():
    problem = Quadratic()
    problem.item += 0.7
    problem.shared = problem.target.clone()
    outcome = maximise(problem, Settings())
    assert (outcome.status, outcome.passes) == ("converged", 1)
    assert outcome.start == outcome.end


def test_steps_that_are_far_too_long_are_damped_until_they_help():
    problem = Quadratic(trust=0.2)
    outcome = maximise(problem, Settings(max_passes=30))
    assert outcome.status == "converged"
    assert outcome.end == pytest.approx(0, abs=1e-2)
    values = [-(i - 0.7).square().sum() / 2 - (s - problem.target).square().sum() / 2 for i, s in problem.visited]
    assert float(values[1]) < outcome.start, "the first step must have been a bad one"
    assert problem.true_value() == outcome.end


@pytest.mark.parametrize("bad", [-1e9, math.nan, -math.inf])
def test_bad_steps_are_taken_back_exactly(bad):
    problem = Quadratic(values=[-3.0, bad, bad, bad])
    start = problem.item.clone(), problem.shared.clone()
    outcome = maximise(problem, Settings(max_passes=4))
    assert outcome == type(outcome)("unchanged", 4, -3.0, -3.0)
    assert torch.equal(problem.item, start[0])
    assert torch.equal(problem.shared, start[1])
    steps = [float((item - start[0]).norm()) for item, _ in problem.visited[1:]]
    assert steps[0] > steps[1] > steps[2]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_objective_that_is_not_finite_fails_without_a_step(value):
    problem = Quadratic(values=[value])
    outcome = maximise(problem, Settings())
    assert (outcome.status, outcome.passes) == ("failed", 1)
    assert len(problem.visited) == 1


def test_passes_are_limited_and_the_gain_is_kept():
    problem = Quadratic(trust=20.0)
    outcome = maximise(problem, Settings(max_passes=3))
    assert (outcome.status, outcome.passes) == ("improved", 3)
    assert outcome.start < outcome.end == problem.true_value()


def test_curvature_that_is_far_too_large_is_seen_through_after_one_step():
    """By itself, every step would leave four fifths of the way: eight passes would still be far off."""
    problem = Quadratic(trust=5.0)
    outcome = maximise(problem, Settings(max_passes=8))
    assert (outcome.status, outcome.passes) == ("converged", 3)
    assert outcome.end == pytest.approx(0, abs=1e-6)
