"""The refinement as a LightningModule."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.linalg import LinAlgError  # pyright: ignore

from mlit.deformation.defocus import Defocus
from mlit.deformation.series_model import SeriesModel
from mlit.errors import InputError
from mlit.fourier.slices import ReferenceTable
from mlit.likelihood.premultiply import ImageRequest
from mlit.likelihood.tilt_images import TiltImages
from mlit.maps.references import HalfMaps, reference_table
from mlit.optim.solvers import Solver
from mlit.training.data import SeriesBatch
from mlit.training.ledger import SeriesLedger
from mlit.training.map_maker import MapMaker, References
from mlit.training.model_selection import Candidate, Evidence, HeldOut, ModelSelection
from mlit.training.schedule import Iteration, Schedule
from mlit.training.series_record import SeriesRecord
from mlit.training.series_status import SeriesStatus
from mlit.training.series_step import Fit, SeriesContext, fit
from mlit.training.weighing import Weighing

LOG = logging.getLogger("mlit")
SETTLED = 0.7  # of the expected error: the next change would hardly add to it


class RefinementModule(lightning.LightningModule):
    """Poses and hyperparameters of all tilt series, and the references that they are fitted to.

    One tilt series is one batch and one outer iteration is one epoch. A training step fits a series to the
    references of the epoch and adds its images to the sums of the next maps; the end of the epoch turns the sums
    into half maps and references. Epoch 0 fits nothing.

    Parameters
    ----------
    models, contexts
        Parameters and constants of every series.
    maps
        Makes the maps of the run.
    schedule
        What each iteration does.
    solver
        Optimiser.
    ledger
        Record of the series done in the epoch under way.
    start
        References to start from; None makes them from the starting poses.
    selection
        Models to compare with the present one in an early iteration; None compares none.
    weighing
        Estimates weights in the iterations that ask for it; None estimates none.
    """

    def __init__(
        self,
        models: Mapping[str, SeriesModel],
        contexts: Mapping[str, SeriesContext],
        maps: MapMaker,
        schedule: Schedule,
        solver: Solver,
        ledger: SeriesLedger,
        start: References | None = None,
        selection: ModelSelection | None = None,
        weighing: Weighing | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.names = list(models)
        self.series = nn.ModuleList(models.values())
        self.contexts, self.maps, self.schedule = dict(contexts), maps, schedule
        self.solver, self.ledger = solver, ledger
        self.records = {name: SeriesRecord.before_fits(context) for name, context in contexts.items()}
        self.selection, self.weighing = selection, weighing
        self.denoiser = maps.denoiser  # a module of this one, so that checkpoints hold it
        self.chosen: list[Candidate] = []
        self.references = start
        self.settled = False
        self._table: ReferenceTable | None = None

    def model(self, name: str) -> SeriesModel:
        """Parameters of one series."""
        return self.series[self.names.index(name)]  # type: ignore[return-value]

    def configure_optimizers(self) -> None:
        """None: every training step runs its own optimiser to the end."""

    @property
    def fit_resolution_angstrom(self) -> float | None:
        """Finest detail in the fits of this epoch; None where nothing is fitted."""
        if self.current_epoch == 0 or self.references is None or self.settled:
            return None
        return self.schedule.fit_resolution(self.current_epoch, self.references.resolution_angstrom)

    def on_train_epoch_start(self) -> None:
        """Lay out empty sums and transform the references."""
        resolution = self.schedule.map_resolution(self.current_epoch, self.fit_resolution_angstrom)
        self.maps.begin(self.current_epoch, resolution, self.device)
        if self.fit_resolution_angstrom is not None:
            assert self.references is not None
            maps, pixel = self.references.maps.to(self.device), self.references.pixel_size_angstrom
            self._table = reference_table(maps, pixel, self.fit_resolution_angstrom)

    def training_step(self, batch: SeriesBatch, batch_idx: int) -> None:
        """Fit one series, unless that is done already, and add it to the maps."""
        if batch.images is None:
            self._leave_out(batch)
            return
        name, record = batch.name, self.records[batch.name]
        images = replace(batch.images, weights=self.contexts[name].weights)
        idle = self._table is None or not self._iteration.blocks
        self.records[name] = record.without_fit() if idle else self._fit_or_recall(name, images)
        self._gather_weights(name, images)
        model, context = self.model(name), self.contexts[name]
        self.maps.add(name, self.current_epoch, model, images, context, self.records[name])

    @property
    def _iteration(self) -> Iteration:
        """What this epoch does; not for epoch 0."""
        return self.schedule.iterations[self.current_epoch - 1]

    def _gather_weights(self, name: str, images: TiltImages) -> None:
        """See what the images say about weights, where this iteration asks for it."""
        if self.weighing is None or self._table is None or not self._iteration.weights:
            return
        assert self.fit_resolution_angstrom is not None
        context = self.contexts[name]
        detail = self.fit_resolution_angstrom
        request = ImageRequest(self.maps.settings.references.tight_angstrom, detail, ewald_hand=context.hand_at(detail))
        self.weighing.gather(name, self.model(name), images, context, self.records[name], self._table, request)

    def _take_weights(self) -> None:
        """Weigh the images of the following iterations as this one has found."""
        if self.weighing is None or not self.weighing.signals:
            return
        assert self.fit_resolution_angstrom is not None
        self.weighing.estimate(self.fit_resolution_angstrom)
        self._apply_weights()
        for name in self.weighing.found:
            self.records[name] = replace(self.records[name], amplitude=self.contexts[name].amplitude_prior)

    def _apply_weights(self) -> None:
        assert self.weighing is not None
        for name in self.weighing.found:
            self.contexts[name] = self.weighing.weigh(name, self.contexts[name], self.model(name))

    def particle_probability(self, name: str) -> Tensor:
        """Probability that each particle of a series is one; not a number for those that were given no weight."""
        believed = self.records[name].credence.particle_probability(self.contexts[name].false_fraction)
        return torch.where(self.contexts[name].use_particle, believed, torch.nan)

    def _leave_out(self, batch: SeriesBatch) -> None:
        status, record = SeriesStatus.left_out(batch.failure or ""), self.records[batch.name]
        if record.status != status:
            LOG.warning("%s is %s", batch.name, status.status)
        self.records[batch.name] = record.without_fit(status)

    def _fit_or_recall(self, name: str, images: TiltImages) -> SeriesRecord:
        """Fit a series, unless that was done before an interruption."""
        known = self.ledger.find(name, self.current_epoch)
        if known is not None:
            self.model(name).load_state_dict(known["model"])
            return SeriesRecord.from_mapping(known["record"])
        record = self._fit(name, images)
        if record.status.status.startswith("rejected"):
            LOG.warning("%s keeps the parameters it had, its fit is %s", name, record.status.status)
        state = {"model": self.model(name).state_dict(), "record": record.as_mapping()}
        self.ledger.record(name, self.current_epoch, state)
        return record

    def _fit(self, name: str, images: TiltImages) -> SeriesRecord:
        """Fit one series; whatever goes wrong becomes its status, and its parameters stay as they were."""
        model, resolution = self.model(name), self.fit_resolution_angstrom
        assert resolution is not None
        rivals = self.selection.rivals(name, model) if self.selection and self._selects_model else []
        before = {key: value.clone() for key, value in model.state_dict().items()}
        result = self._try(model, name, images)
        if isinstance(result, str) or result.posterior is None:
            model.load_state_dict(before)
            reason = result if isinstance(result, str) else "objective is not finite"
            passes = 0 if isinstance(result, str) else result.outcome.passes
            status = SeriesStatus(f"rejected: {reason}", passes, resolution_angstrom=resolution)
            return self.records[name].without_fit(status)
        record = self.records[name].after(result, model, resolution)
        held_out = HeldOut(result.posterior.held_out, result.seen)
        return replace(record, evidence=self._compare(name, images, held_out, rivals))

    def _try(self, model: SeriesModel, name: str, images: TiltImages, more: tuple[str, ...] = ()) -> Fit | str:
        """Fit a model of a series as this iteration asks for, or say in one line why that is impossible.

        ``more`` names blocks to refine besides.
        """
        assert self._table is not None
        assert self.fit_resolution_angstrom is not None
        context = self.contexts[name]
        iteration = self._iteration
        model.activate([*iteration.blocks, *more])
        try:
            return fit(
                model,
                images,
                context,
                self._table,
                self.maps.settings.references.tight_angstrom,
                self.fit_resolution_angstrom,
                self.solver,
                iteration.learn_priors,
                self.current_epoch == self.schedule.first_to_refine(Defocus.name),
                self.records[name].credence.particle_weight(context.false_fraction),
            )
        except (RuntimeError, MemoryError) as error:
            if not _is_expected(error):
                raise
            return str(error).splitlines()[0]

    @property
    def _selects_model(self) -> bool:
        """Whether other models are compared in this epoch."""
        return self.selection is not None and self.selection.epoch == self.current_epoch

    def _compare(
        self,
        name: str,
        images: TiltImages,
        present: HeldOut,
        rivals: Sequence[tuple[Candidate, SeriesModel]],
    ) -> dict[str, Evidence]:
        """Fit other models of a series and see whether they predict held-out images better."""
        found = {}
        for candidate, model in rivals:
            result = self._try(model, name, images, (candidate.block,))
            if not isinstance(result, str) and result.posterior is not None:
                found[candidate.label] = present.against(HeldOut(result.posterior.held_out, result.seen))
        return found

    def _take_better_model(self) -> None:
        """Replace the models of all series where another one has predicted held-out images better."""
        if self.selection and self._selects_model:
            self.chosen = self.selection.choose(record.evidence for record in self.records.values())
            self._rebuild()

    def _rebuild(self) -> None:
        assert self.selection is not None
        if self.chosen:
            models = [self.selection.model(name, self.chosen, self.model(name)) for name in self.names]
            self.series = nn.ModuleList(models)

    def on_train_epoch_end(self) -> None:
        """Turn the sums into half maps and references."""
        if not self.maps.any_added:
            reasons = "; ".join(f"{name}: {record.status.status}" for name, record in self.records.items())
            raise InputError(f"no tilt series could be used ({reasons})")
        halves = self.maps.make_half_maps(self.fit_resolution_angstrom or self.maps.sums.resolution_angstrom)
        self._take_better_model()
        self._take_weights()
        complete = self.maps.sums.resolution_angstrom <= self.schedule.nyquist_angstrom
        self.settled = self.settled or self._is_settled(halves)
        if (self.settled and complete) or self.current_epoch + 1 == self.schedule.epochs:
            self.maps.judge_subsets()
        if self.settled and complete:
            self.trainer.should_stop = True
        elif self.current_epoch == 0 and self.references is not None:
            self.references = self.maps.on_scale_of_images(self.references)
        elif self.current_epoch + 1 < self.schedule.epochs and not self.settled:
            self.references = self._in_common_frame(self.maps.make_references())
        self._table = None
        self.maps.end()
        self._log_epoch(halves)

    def _is_settled(self, halves: HalfMaps) -> bool:
        """Whether the next iteration would repeat this one, which moved nothing by more than errors that remain."""
        resolution, limit = self.fit_resolution_angstrom, halves.significant_resolution_angstrom
        if self.selection is not None and self.current_epoch <= self.selection.epoch:
            return False
        if resolution is None or not self.schedule.repeats(self.current_epoch + 1, resolution, limit):
            return False
        fitted = [record.status for record in self.records.values() if record.status.passes]
        return all(s.change.within(s.expected_error, SETTLED) and s.change_in_errors < SETTLED for s in fitted)

    def _in_common_frame(self, references: References) -> References:
        """Move references and poses of both half sets to their common frame."""
        motions = self.maps.common_frame() if self.schedule.moves_particles else None
        if motions is None:
            return references
        for name in self.names:
            half = self.contexts[name].group // self.maps.settings.folds
            for number, motion in enumerate(motions):
                self.model(name).poses.follow(half == number, motion.rotation, motion.shift_angstrom)
        return references.moved(motions)

    def _log_epoch(self, halves: HalfMaps) -> None:
        self.log("resolution/fsc_0.143_angstrom", halves.curves.resolution_angstrom(0.143))
        self.log("resolution/significant_angstrom", halves.significant_resolution_angstrom)
        for name, record in self.records.items():
            if record.status.passes:
                self.log(f"log_posterior/{name}", record.status.log_posterior_end)
        self.log("step", float(self.current_epoch))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the next epoch starts from besides the parameters."""
        assert self.references is not None
        checkpoint["references"] = vars(self.references)
        checkpoint["records"] = {name: record.as_mapping() for name, record in self.records.items()}
        checkpoint["settled"] = self.settled
        checkpoint["weights"] = self.weighing.as_mapping() if self.weighing else {}
        checkpoint["chosen"] = [(candidate.block, dict(candidate.change)) for candidate in self.chosen]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up again."""
        self.references = References(**checkpoint["references"])
        self.records = {name: SeriesRecord.from_mapping(values) for name, values in checkpoint["records"].items()}
        self.settled = checkpoint["settled"]
        if self.weighing is not None:
            self.weighing.restore(checkpoint["weights"])
            self._apply_weights()
        self.chosen = [Candidate(*values) for values in checkpoint["chosen"]]
        if self.chosen:
            self._rebuild()


def _is_expected(error: Exception) -> bool:
    """Whether an error of a fit says something about the series: a singular system, or want of memory."""
    known = (LinAlgError, torch.OutOfMemoryError, MemoryError)
    return isinstance(error, known) or "alloc" in str(error)
