"""What is noted while a solver is at work."""

import math

import pytest
import torch
from torch import nn

from mlit.benchmark.recording import Record, RecordingSolver
from mlit.optim.arrow import ArrowSystem
from mlit.optim.solvers import Adam, GaussNewton, Lbfgs


class Line:
    """``1 - cosh(x - 1)`` for one item, with a curvature that is too high by half, so that steps fall short."""

    def __init__(self):
        self.item = nn.Parameter(torch.zeros(1, 1, dtype=torch.float64))
        self.passes = 0

    def parameters(self):
        return [self.item]

    def loss(self):
        self.passes += 1
        return (self.item - 1).cosh().sum() - 1

    def evaluate(self):
        return -float(self.loss().detach())

    def system(self):
        none = torch.zeros(0, dtype=torch.float64)
        curvature = torch.full((1, 1, 1), 1.5 * math.cosh(1), dtype=torch.float64)
        return ArrowSystem(curvature, none.reshape(1, 1, 0), none.reshape(0, 0), (1 - self.item.detach()).sinh(), none)

    @torch.no_grad()
    def move(self, item, shared):
        self.item += item

    def undo(self):
        raise AssertionError("no step overshoots")

    def step_size(self, item, shared):
        return float(item.abs().max()) * 1e2


@pytest.mark.parametrize("solver", [GaussNewton(passes=6), Lbfgs(passes=6), Adam(passes=6)])
def test_every_pass_is_noted_with_its_objective(solver):
    problem, recording = Line(), RecordingSolver(solver)
    outcome = recording.solve(problem)
    record = recording.recorded.record
    assert record.status == outcome.status
    assert len(record.values) == len(record.elapsed) == problem.passes == outcome.passes
    assert record.values[0] == outcome.start == pytest.approx(1 - math.cosh(1))
    assert max(record.values) == outcome.end
    assert record.elapsed == sorted(record.elapsed)
    assert 0 <= record.pass_cpu_seconds + record.equation_cpu_seconds <= record.cpu_seconds


def test_strictness_makes_a_solver_go_on():
    passes = []
    for strictness in (1.0, 1e3):
        recording = RecordingSolver(GaussNewton(passes=40), strictness)
        passes.append(recording.solve(Line()).passes)
    assert passes[0] < passes[1] < 40


def test_first_pass_above_a_target():
    record = Record(values=[0.0, 2.0, 1.0, 3.0])
    assert [record.first_pass_above(target) for target in (0.0, 1.5, 3.0, 4.0)] == [1, 2, 4, None]
