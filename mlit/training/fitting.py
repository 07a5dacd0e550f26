"""How an iteration fits a series: whatever goes wrong becomes a status, and rival models are compared."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from torch.linalg import LinAlgError  # pyright: ignore

from mlit.deformation.series_model import SeriesModel
from mlit.errors import one_line
from mlit.likelihood.tilt_images import TiltImages
from mlit.optim.solvers import Solver
from mlit.training.fit_batches import FitBatches, is_out_of_memory
from mlit.training.model_selection import Candidate, Evidence, HeldOut
from mlit.training.schedule import Iteration
from mlit.training.series_record import SeriesRecord
from mlit.training.series_status import SeriesStatus
from mlit.training.series_step import Fit, SeriesContext, Target, fit, whole_batch_bytes

Rival = tuple[Candidate, SeriesModel]


class Failure(NamedTuple):
    """Why a fit came to nothing, in one line, and how many passes over the images it had made."""

    reason: str
    passes: int = 0


@dataclass(frozen=True)
class Fitting:
    """Fits any series as one iteration asks for.

    Attributes
    ----------
    solver
        Optimiser.
    batches
        How many images a fit holds at once.
    iteration
        Names the blocks to refine.
    targets
        What the particles of each species are fitted to; None where nothing is.
    resolution_angstrom
        Finest detail in the fits.
    look_far
        Whether a fit begins with a search of the defocus, where the model asks for one.
    """

    solver: Solver
    batches: FitBatches
    iteration: Iteration
    targets: Sequence[Target | None]
    resolution_angstrom: float
    look_far: bool

    def fit(
        self,
        name: str,
        model: SeriesModel,
        images: TiltImages,
        context: SeriesContext,
        record: SeriesRecord,
        rivals: Sequence[Rival] = (),
    ) -> SeriesRecord:
        """Fit the model of a series in place and return the new record; where that fails, the model stays as it was.

        Parameters
        ----------
        name
            Of the series.
        record
            What was known before.
        rivals
            Other models to fit for comparison.
        """
        done = self._try(name, model, images, context, record)
        if isinstance(done, Failure):
            status = SeriesStatus(f"rejected: {done.reason}", done.passes, resolution_angstrom=self.resolution_angstrom)
            return record.without_fit(status)
        new = record.after(done, model, self.resolution_angstrom)
        held_out = _held_out(done)
        evidence: dict[str, Evidence] = {}
        for candidate, rival in rivals:
            other = self._try(name, rival, images, context, record, (candidate.block,))
            if isinstance(other, Fit):
                evidence[candidate.label] = held_out.against(_held_out(other))
        return replace(new, evidence=evidence)

    def _try(
        self,
        name: str,
        model: SeriesModel,
        images: TiltImages,
        context: SeriesContext,
        record: SeriesRecord,
        more: tuple[str, ...] = (),
    ) -> Fit | Failure:
        """Fit a model, or leave it as it is and say why; ``more`` names blocks to refine besides."""
        model.activate([*self.iteration.blocks, *more])
        before = {key: value.clone() for key, value in model.state_dict().items()}
        work = functools.partial(
            fit,
            model,
            images,
            context,
            self.targets,
            self.solver,
            self.iteration.learn_priors,
            self.look_far,
            record.credence.particle_weight(context.false_fraction),
        )
        whole = whole_batch_bytes(model, context, self.targets)
        try:
            done = self.batches.attempt(name, whole, work, lambda: model.load_state_dict(before))
        except (RuntimeError, MemoryError) as error:
            if not isinstance(error, LinAlgError) and not is_out_of_memory(error):
                raise
            model.load_state_dict(before)
            return Failure(one_line(error))
        if done.posterior is None:
            model.load_state_dict(before)
            return Failure("objective is not finite", done.outcome.passes)
        return done


def _held_out(done: Fit) -> HeldOut:
    assert done.posterior is not None
    return HeldOut(done.posterior.held_out, done.seen)
