"""Passes over the images that each solver needs to the same objective."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from omegaconf import DictConfig

from mlit.benchmark.prepared import prepare
from mlit.benchmark.solver_fits import Fit, SeriesFits, fit_with_each
from mlit.optim.solvers import Adam, GaussNewton, Lbfgs, Solver

FIRST = "gauss_newton"
TARGETS = {"10 %": 0.1, "1 %": 0.01, "1 unit": None}  # share of the gain that may be missing; None: 1 log-unit


def candidates(passes: int) -> list[Solver]:
    """Give every solver in the settings that suit it best; those of the others were tried on several projects."""
    return [
        GaussNewton(passes=passes),
        Lbfgs(passes=passes, history=10),
        Lbfgs(passes=passes, history=50),
        Adam(passes=passes, learning_rate=0.03),
        Adam(passes=passes, learning_rate=0.1),
    ]


@dataclass(frozen=True)
class Attempt:
    """One solver on one series.

    Attributes
    ----------
    after
        Iterations of the run before this fit.
    resolution_angstrom
        Finest detail in the fit.
    series
        Name of the series.
    solver, settings
        The solver, and what was set.
    status, passes, seconds, cpu_seconds
        How it ended; seconds are on the wall, or of all cores together.
    gain
        Rise of the log-posterior.
    below_optimum
        How far its end lies below that of Gauss-Newton.
    passes_to, seconds_to, cpu_seconds_to
        Passes and seconds to each target; None where it was not reached.
    rms_deviations, largest_deviation
        Distance of its parameters from those of Gauss-Newton, in posterior standard deviations.
    """

    after: int
    resolution_angstrom: float
    series: str
    solver: str
    settings: str
    status: str
    passes: int
    seconds: float
    cpu_seconds: float
    gain: float
    below_optimum: float
    passes_to: dict[str, int | None]
    seconds_to: dict[str, float | None]
    cpu_seconds_to: dict[str, float | None]
    rms_deviations: float
    largest_deviation: float


def compare_solvers(
    cfg: DictConfig,
    after: int,
    resolution_angstrom: float | None,
    solvers: Sequence[Solver],
    report: Callable[[str], None],
) -> list[Attempt]:
    """Run a refinement for some iterations, then do the next fit of every series with each solver.

    Parameters
    ----------
    cfg
        The composed ``conf/refine.yaml``.
    after
        Iterations before: 0 fits the starting metadata to references from the starting metadata.
    resolution_angstrom
        Finest detail in the fit; None: as the schedule wants it.
    solvers
        Solvers; the first is Gauss-Newton, and where it ends is the optimum.
    report
        Called with a line of text now and then.
    """
    prepared = prepare(cfg, after, resolution_angstrom)
    named = {_label(solver): solver for solver in solvers}
    attempts = []
    for series in prepared.module.names:
        fits = fit_with_each(prepared, series, named, report)
        attempts += [_attempt((after, prepared.resolution_angstrom, series), label, fits) for label in named]
    return attempts


def _label(solver: Solver) -> str:
    """Name and settings; how many passes are allowed is no setting."""
    assert dataclasses.is_dataclass(solver)
    settings = [f"{f.name} {getattr(solver, f.name):g}" for f in dataclasses.fields(solver) if f.name != "passes"]
    name = {GaussNewton: FIRST, Lbfgs: "lbfgs", Adam: "adam"}[type(solver)]
    return f"{name}: {', '.join(settings)}"


def _attempt(which: tuple[int, float, str], label: str, fits: SeriesFits) -> Attempt:
    fit, first = fits.fits[label], next(iter(fits.fits.values()))
    optimum, start = max(first.record.values), first.record.values[0]
    reached = {name: _pass_to(fit, optimum, start, share) for name, share in TARGETS.items()}
    rms, largest = fits.distance(label)
    solver, settings = label.split(": ")
    record, end = fit.record, max(fit.record.values)
    return Attempt(
        *which,
        solver,
        settings,
        fit.record.status,
        len(record.values),
        record.seconds,
        record.cpu_seconds,
        end - start,
        optimum - end,
        reached,
        {name: None if n is None else record.elapsed[n - 1] for name, n in reached.items()},
        {name: None if n is None else record.cpu_elapsed[n - 1] for name, n in reached.items()},
        rms,
        largest,
    )


def _pass_to(fit: Fit, optimum: float, start: float, share: float | None) -> int | None:
    return fit.record.first_pass_above(optimum - (1.0 if share is None else share * (optimum - start)))
