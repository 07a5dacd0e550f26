"""The optimisers that configs offer, all on the same objective."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from mlit.optim.levenberg_marquardt import ArrowProblem, Outcome, Settings, maximise


@runtime_checkable
class DifferentiableProblem(ArrowProblem, Protocol):
    """An objective that first-order optimisers can climb too."""

    passes: int

    def parameters(self) -> list[nn.Parameter]:
        """Parameters to change."""
        ...

    def loss(self) -> Tensor:
        """Negative objective with gradients."""
        ...


@runtime_checkable
class Solver(Protocol):
    """Changes the parameters of a problem so that its objective rises."""

    def solve(self, problem: DifferentiableProblem) -> Outcome:
        """Run to the end; the parameters keep the best point found."""
        ...


@dataclass(frozen=True)
class GaussNewton:
    """Joint Gauss-Newton with Levenberg-Marquardt damping.

    Attributes
    ----------
    passes
        Passes over the images at most.
    damping
        Starting ratio of the added diagonal to the curvature.
    """

    passes: int = 3
    damping: float = 1e-3

    def solve(self, problem: DifferentiableProblem) -> Outcome:
        """Climb with exact curvature."""
        return maximise(problem, Settings(self.passes, self.damping))


@dataclass(frozen=True)
class Lbfgs:
    """Limited-memory BFGS with a strong-Wolfe line search.

    Attributes
    ----------
    passes
        Passes over the images at most.
    history
        Steps remembered.
    """

    passes: int = 40
    history: int = 10

    def solve(self, problem: DifferentiableProblem) -> Outcome:
        """Climb with gradients."""
        optimiser = torch.optim.LBFGS(
            problem.parameters(),
            max_iter=self.passes,
            max_eval=self.passes,
            history_size=self.history,
            line_search_fn="strong_wolfe",
        )
        return _climb(problem, optimiser, steps=1)


@dataclass(frozen=True)
class Adam:
    """Adam.

    Attributes
    ----------
    passes
        Passes over the images.
    learning_rate
        In units of each parameter's prior width.
    """

    passes: int = 60
    learning_rate: float = 0.03

    def solve(self, problem: DifferentiableProblem) -> Outcome:
        """Climb with gradients."""
        optimiser = torch.optim.Adam(problem.parameters(), lr=self.learning_rate)
        return _climb(problem, optimiser, steps=self.passes)


def _climb(problem: DifferentiableProblem, optimiser: torch.optim.Optimizer, steps: int) -> Outcome:
    """Run a first-order optimiser, go back to the best point it visited and evaluate that once more."""
    parameters = problem.parameters()
    values: list[float] = []
    best = [p.detach().clone() for p in parameters]

    def closure() -> float:
        optimiser.zero_grad()
        loss = problem.loss()
        loss.backward()
        value = -float(loss.detach())
        if not values or value > max(values):
            for kept, parameter in zip(best, parameters, strict=True):
                kept.copy_(parameter.detach())
        values.append(value)
        return -value

    before = problem.passes
    for _ in range(steps):
        optimiser.step(closure)
    with torch.no_grad():
        for kept, parameter in zip(best, parameters, strict=True):
            parameter.copy_(kept)
    problem.evaluate()
    finite = all(torch.isfinite(torch.tensor(v)) for v in values)
    status = "failed" if not finite else "improved" if max(values) > values[0] else "unchanged"
    return Outcome(status, problem.passes - before, values[0], max(values) if finite else values[0])
