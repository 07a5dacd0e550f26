"""A problem and a solver that note what happens while they are at work."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor, nn

from mlit.optim.levenberg_marquardt import Outcome, Quadratic
from mlit.optim.solvers import DifferentiableProblem, Solver


@dataclass
class Record:
    """What happened during one fit; filled in place.

    Attributes
    ----------
    status
        How it ended.
    values
        Objective of each pass over the images.
    elapsed, cpu_elapsed
        Seconds from the start of the fit to the end of that pass: on the wall, and by the clock of the recording.
    pass_cpu_seconds, equation_cpu_seconds
        Time by that clock in passes, without the gradients' way back through the geometry, and in setting up normal
        equations.
    seconds, cpu_seconds
        Time of the whole fit.
    cpu_started
        When it began, by that clock.
    """

    status: str = ""
    values: list[float] = field(default_factory=list)
    elapsed: list[float] = field(default_factory=list)
    cpu_elapsed: list[float] = field(default_factory=list)
    pass_cpu_seconds: float = 0.0
    equation_cpu_seconds: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    cpu_started: float = 0.0

    def first_pass_above(self, target: float) -> int | None:
        """Count the passes up to the first with an objective of at least ``target``; None where there is none."""
        return next((number for number, value in enumerate(self.values, 1) if value >= target), None)


class RecordedProblem:
    """Hands everything on to a problem and notes the objective and the time of every pass.

    Parameters
    ----------
    problem
        The problem.
    strictness
        How many times smaller than the problem's own its tolerance shall be.
    now
        The clock; by default it counts the seconds of all cores together, which other programs lengthen less.
    """

    def __init__(
        self, problem: DifferentiableProblem, strictness: float = 1.0, now: Callable[[], float] = time.process_time
    ) -> None:
        self.problem, self.record, self.strictness, self._now = problem, Record(), strictness, now
        self.passes = problem.passes
        self._started, self.record.cpu_started = time.perf_counter(), now()

    def parameters(self) -> list[nn.Parameter]:
        """Parameters to change."""
        return self.problem.parameters()

    def evaluate(self) -> float:
        """Objective at the present parameters."""
        before = self._now()
        value = self.problem.evaluate()
        self._note(value, before)
        return value

    def loss(self) -> Tensor:
        """Negative objective with gradients."""
        before = self._now()
        loss = self.problem.loss()
        self._note(-float(loss.detach()), before)
        return loss

    def system(self) -> Quadratic:
        """Gradient and curvature."""
        before = self._now()
        system = self.problem.system()
        self.record.equation_cpu_seconds += self._now() - before
        return system

    def move(self, item: Tensor, shared: Tensor) -> None:
        """Add a step to the parameters."""
        self.problem.move(item, shared)

    def undo(self) -> None:
        """Take the last step back."""
        self.problem.undo()

    def step_size(self, item: Tensor, shared: Tensor) -> float:
        """Size of a step in units of the tolerance."""
        return self.problem.step_size(item, shared) * self.strictness

    def finish(self, status: str) -> None:
        """Note how it ended, and the time of the whole."""
        self.record.status = status
        self.record.seconds = time.perf_counter() - self._started
        self.record.cpu_seconds = self._now() - self.record.cpu_started

    def _note(self, value: float, before: float) -> None:
        now = self._now()
        self.passes = self.problem.passes
        self.record.values.append(value)
        self.record.elapsed.append(time.perf_counter() - self._started)
        self.record.cpu_elapsed.append(now - self.record.cpu_started)
        self.record.pass_cpu_seconds += now - before


class RecordingSolver:
    """Runs a solver and keeps the problem of its last fit with what was noted.

    Parameters
    ----------
    solver
        The solver.
    strictness
        How many times smaller than the problem's own its tolerance shall be.
    now
        The clock; by default it counts the seconds of all cores together, which other programs lengthen less.
    """

    def __init__(self, solver: Solver, strictness: float = 1.0, now: Callable[[], float] = time.process_time) -> None:
        self.solver, self.strictness, self._now = solver, strictness, now
        self.recorded: RecordedProblem | None = None

    def solve(self, problem: DifferentiableProblem) -> Outcome:
        """Run to the end."""
        self.recorded = RecordedProblem(problem, self.strictness, self._now)
        outcome = self.solver.solve(self.recorded)
        self.recorded.finish(outcome.status)
        return outcome
