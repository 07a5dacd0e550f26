"""The same fit by several solvers, from the same start to the same references."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.benchmark.clock import CPU
from mlit.benchmark.prepared import Prepared
from mlit.benchmark.recording import Record, RecordingSolver
from mlit.deformation.series_model import SeriesModel
from mlit.likelihood.objective import SeriesObjective
from mlit.optim.solvers import Solver
from mlit.parallel import one_thread_each
from mlit.training.series_step import fit

STRICTNESS = 20.0  # a fit goes on far beyond the tolerance of a run: its end shall be the optimum


@dataclass(frozen=True)
class Fit:
    """Where a solver went.

    Attributes
    ----------
    record
        How it ended, objective and time of every pass.
    parameters
        Where it ended, in one vector: poses, then the hyperparameters that were refined.
    """

    record: Record
    parameters: Float[Tensor, " parameter"]


@dataclass(frozen=True)
class SeriesFits:
    """Fits of one series.

    Attributes
    ----------
    fits
        One for each solver.
    deviation
        Posterior standard deviation of every parameter where the first solver ended.
    """

    fits: Mapping[str, Fit]
    deviation: Float[Tensor, " parameter"]

    def distance(self, name: str) -> tuple[float, float]:
        """How far a solver ended from the first one, in posterior standard deviations: root mean square, largest."""
        first = next(iter(self.fits.values()))
        away = (self.fits[name].parameters - first.parameters) / self.deviation
        return float(away.square().mean().sqrt()), float(away.abs().max())


def fit_with_each(
    prepared: Prepared, name: str, solvers: Mapping[str, Solver], report: Callable[[str], None]
) -> SeriesFits:
    """Fit one series with every solver, starting each time from the parameters that the run has.

    Parameters
    ----------
    prepared
        A run that is about to fit its series; its parameters stay as they are.
    name
        Name of the series.
    solvers
        Solvers, of which the first computes the posterior.
    report
        Called with a line of text now and then.

    Raises
    ------
    InputError
        If the images of the series cannot be used.
    """
    model, module = prepared.module.model(name), prepared.module
    images, targets = prepared.images(name), prepared.targets(CPU)
    model.activate(prepared.blocks)
    start = copy.deepcopy(model.state_dict())
    fits: dict[str, Fit] = {}
    deviation = None
    for label, solver in solvers.items():
        model.load_state_dict(start)
        recording = RecordingSolver(solver, STRICTNESS)
        with one_thread_each():
            fit(model, images, module.contexts[name], targets, recording)
        assert recording.recorded is not None
        fits[label] = Fit(recording.recorded.record, _vector(model))
        record = fits[label].record
        report(f"{name}, {label}: {len(record.values)} passes, {record.cpu_seconds:.1f} core s")
        if deviation is None:
            problem = recording.recorded.problem
            assert isinstance(problem, SeriesObjective)
            deviation = posterior_deviation(problem)
    model.load_state_dict(start)
    assert deviation is not None, "give a solver"
    return SeriesFits(fits, deviation)


def posterior_deviation(problem: SeriesObjective) -> Float[Tensor, " parameter"]:
    """Posterior standard deviation of every parameter at the present ones: poses, then the others."""
    problem.evaluate()
    found = problem.posterior()
    return torch.cat([found.poses.diagonal(dim1=1, dim2=2).sqrt().flatten(), found.hyper_error])


def _vector(model: SeriesModel) -> Float[Tensor, " parameter"]:
    return torch.cat([model.poses.raw.detach().flatten(), model.hyper.detach()]).clone()
