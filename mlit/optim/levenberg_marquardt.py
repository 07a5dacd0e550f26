"""Levenberg-Marquardt maximisation of an objective whose normal equations have the shape of an arrow."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from mlit.optim.secant import LocalModel, Secants, inner


@runtime_checkable
class Quadratic(LocalModel, Protocol):
    """Local model of an objective: a parabola of items and shared parameters."""

    def damped(self, damping: float) -> "Quadratic":
        """Return a model with the diagonal of its curvature multiplied by ``1 + damping``."""
        ...


@runtime_checkable
class ArrowProblem(Protocol):
    """What the solver needs of an objective to be maximised."""

    def evaluate(self) -> float:
        """Objective at the present parameters; may keep what :meth:`system` needs."""
        ...

    def system(self) -> Quadratic:
        """Local model at the parameters of the last :meth:`evaluate`."""
        ...

    def move(self, item: Tensor, shared: Tensor) -> None:
        """Add a step to the parameters."""
        ...

    def undo(self) -> None:
        """Put the parameters back exactly as they were before the last :meth:`move`."""
        ...

    def step_size(self, item: Tensor, shared: Tensor) -> float:
        """Size of a step in units of the tolerance: below 1 it no longer matters."""
        ...


@dataclass(frozen=True)
class Settings:
    """When to stop and how to damp.

    Attributes
    ----------
    max_passes
        Evaluations of the objective at most.
    damping
        Starting ratio of the added diagonal to the curvature.
    """

    max_passes: int = 6
    damping: float = 1e-3


@dataclass(frozen=True)
class Outcome:
    """How an optimisation ended: ``status`` is converged, improved, unchanged or failed."""

    status: str
    passes: int
    start: float
    end: float


def maximise(problem: ArrowProblem, settings: Settings) -> Outcome:
    """Climb until steps no longer matter; the true objective decides whether a step is kept.

    Curvature is that of the normal equations, corrected along the last steps by what the gradient really did there.
    """
    best = start = problem.evaluate()
    if not torch.isfinite(torch.tensor(start)):
        return Outcome("failed", 1, start, start)
    damping, passes, status = settings.damping, 1, "unchanged"
    secants, last = Secants(), None
    while passes < settings.max_passes:
        system = problem.system()
        if last is not None:
            secants.add(*last, system.gradient)
        step = secants.step(system.damped(damping))
        if problem.step_size(*step) < 1:
            return Outcome("converged", passes, start, best)
        problem.move(*step)
        value = problem.evaluate()
        passes += 1
        if value > best:
            ratio = (value - best) / max(inner(system.gradient, step) / 2, 1e-12)
            best, status, last = value, "improved", (step, system.gradient)
            damping *= 0.2 if ratio > 0.5 else 1.0
        else:
            problem.undo()
            secants.forget()
            damping, last = max(damping, 1e-3) * 10, None
    return Outcome(status, passes, start, best)
