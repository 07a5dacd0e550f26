"""How much more than Gauss-Newton the other solvers need."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from mlit.benchmark.solver_comparison import FIRST, TARGETS, Attempt


@dataclass(frozen=True)
class Ratio:
    """How many times as much a solver needs as Gauss-Newton, in its best settings; medians over the series.

    ``at_least`` says that the target was not always reached: then the passes that were made are counted.
    """

    after: int
    solver: str
    target: str
    passes: float
    seconds: float
    cpu_seconds: float
    at_least: bool


def ratios(attempts: Sequence[Attempt]) -> list[Ratio]:
    """Compare every other solver with Gauss-Newton at each target."""
    keys = dict.fromkeys((a.after, a.solver, target) for a in attempts if a.solver != FIRST for target in TARGETS)
    return [_ratio(attempts, *key) for key in keys]


def _ratio(attempts: Sequence[Attempt], after: int, solver: str, target: str) -> Ratio:
    passes, seconds, cpu_seconds, at_least = [], [], [], False
    for first in (a for a in attempts if a.after == after and a.solver == FIRST):
        others = [a for a in attempts if (a.after, a.series, a.solver) == (after, first.series, solver)]
        best = min(others, key=lambda a: (a.passes_to[target] is None, _passes(a, target)))
        at_least |= best.passes_to[target] is None
        passes.append(_passes(best, target) / _passes(first, target))
        seconds.append((best.seconds_to[target] or best.seconds) / (first.seconds_to[target] or first.seconds))
        cpu_seconds.append(
            (best.cpu_seconds_to[target] or best.cpu_seconds) / (first.cpu_seconds_to[target] or first.cpu_seconds)
        )
    middle = statistics.median
    return Ratio(after, solver, target, middle(passes), middle(seconds), middle(cpu_seconds), at_least)


def _passes(attempt: Attempt, target: str) -> int:
    return attempt.passes_to[target] or attempt.passes
