"""The optimisers that configs offer, on one problem with a known maximum."""

import math

import pytest
import torch
from torch import nn

from mlit.optim.arrow import ArrowSystem
from mlit.optim.solvers import Adam, GaussNewton, Lbfgs


class Bowl:
    """``3 - |x - 0.5|² / 2`` for one item of two and one shared parameter; not finite from a given pass on."""

    def __init__(self, breaks_at=None):
        self.item = nn.Parameter(torch.zeros(1, 2, dtype=torch.float64))
        self.shared = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.passes, self.breaks_at, self.before = 0, breaks_at, None

    def parameters(self):
        return [self.item, self.shared]

    def value(self):
        return 3 - ((self.item - 0.5).square().sum() + (self.shared - 0.5).square().sum()) / 2

    def loss(self):
        self.passes += 1
        broken = self.breaks_at is not None and self.passes >= self.breaks_at
        return -self.value() * (math.nan if broken else 1)

    def evaluate(self):
        return -float(self.loss().detach())

    def system(self):
        eye = torch.eye(3, dtype=torch.float64)
        left = 0.5 - self.item.detach(), 0.5 - self.shared.detach()
        return ArrowSystem(eye[None, :2, :2], torch.zeros(1, 2, 1, dtype=torch.float64), eye[:1, :1], *left)

    @torch.no_grad()
    def move(self, item, shared):
        self.before = self.item.clone(), self.shared.clone()
        self.item += item
        self.shared += shared

    @torch.no_grad()
    def undo(self):
        self.item.copy_(self.before[0])
        self.shared.copy_(self.before[1])

    def step_size(self, item, shared):
        return float(max(item.abs().max(), shared.abs().max())) * 1e4


@pytest.mark.parametrize("solver", [GaussNewton(passes=6), Lbfgs(passes=20), Adam(passes=80, learning_rate=0.05)])
def test_every_optimiser_finds_the_maximum(solver):
    problem = Bowl()
    outcome = solver.solve(problem)
    assert outcome.status in ("converged", "improved")
    assert outcome.start == pytest.approx(3 - 0.375)
    assert outcome.end == pytest.approx(3, abs=2e-3)
    assert outcome.end == pytest.approx(float(problem.value().detach()))
    assert outcome.passes == problem.passes


def test_the_best_point_visited_is_kept():
    """A learning rate that overshoots ends elsewhere; the parameters do not."""
    problem = Bowl()
    outcome = Adam(passes=7, learning_rate=0.4).solve(problem)
    assert float(problem.value().detach()) == pytest.approx(outcome.end)
    assert outcome.end > outcome.start


@pytest.mark.parametrize("solver", [GaussNewton(), Lbfgs(passes=5), Adam(passes=5)])
def test_an_objective_that_is_never_finite_fails_and_leaves_the_start(solver):
    problem = Bowl(breaks_at=1)
    assert solver.solve(problem).status == "failed"
    assert float(problem.item.detach().abs().max()) == 0


@pytest.mark.parametrize("solver", [Lbfgs(passes=10), Adam(passes=10)])
def test_an_objective_that_breaks_on_the_way_keeps_the_best_point(solver):
    problem = Bowl(breaks_at=3)
    assert solver.solve(problem).status == "failed"
    assert float(problem.value().detach()) > 3 - 0.375
