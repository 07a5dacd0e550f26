"""Comparison of solvers, for people and for programs."""

from collections.abc import Sequence
from dataclasses import asdict

from mlit.benchmark.solver_comparison import TARGETS, Attempt
from mlit.benchmark.solver_ratios import Ratio
from mlit.benchmark.table import number, plain_table


def attempts_table(attempts: Sequence[Attempt]) -> str:
    """Lay out all fits."""
    headings = ["fit", "Å", "series", "solver", "status", "passes", "s", "core s", *(f"to {name}" for name in TARGETS)]
    headings += ["core s to 1 %", "below", "rms σ", "max σ"]
    rows = [
        [
            str(a.after + 1),
            number(a.resolution_angstrom),
            a.series,
            f"{a.solver}: {a.settings}",
            a.status,
            str(a.passes),
            number(a.seconds),
            number(a.cpu_seconds),
            *(number(a.passes_to[name], 0) for name in TARGETS),
            number(a.cpu_seconds_to["1 %"]),
            number(a.below_optimum, 2),
            number(a.rms_deviations, 3),
            number(a.largest_deviation, 3),
        ]
        for a in attempts
    ]
    return plain_table(headings, rows)


def ratios_table(found: Sequence[Ratio]) -> str:
    """Lay out the ratios."""
    rows = [
        [
            str(r.after + 1),
            r.solver,
            r.target,
            f"{'≥ ' if r.at_least else ''}{r.passes:.1f}",
            f"{r.seconds:.1f}",
            f"{r.cpu_seconds:.1f}",
        ]
        for r in found
    ]
    return plain_table(["fit", "solver", "to", "passes over those of gauss_newton", "s", "core s"], rows)


def comparison_as_json(attempts: Sequence[Attempt], found: Sequence[Ratio]) -> dict[str, object]:
    """Everything in plain containers."""
    return {"fits": [asdict(a) for a in attempts], "ratios": [asdict(r) for r in found]}
