"""The refinement as a LightningModule."""

import functools
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from mlit.deformation.defocus import Defocus
from mlit.deformation.series_model import SeriesModel
from mlit.errors import InputError
from mlit.likelihood.tilt_images import TiltImages
from mlit.optim.solvers import Solver
from mlit.training import rank_log, ranks
from mlit.training.data import SeriesBatch
from mlit.training.fit_batches import USUAL_BYTES, FitBatches, enough_memory
from mlit.training.fitting import Fitting
from mlit.training.ledger import SeriesLedger
from mlit.training.map_maker import References
from mlit.training.model_selection import Candidate, ModelSelection
from mlit.training.molecule import Molecule
from mlit.training.schedule import Iteration
from mlit.training.series_findings import SeriesFindings, gather_findings
from mlit.training.series_record import SeriesRecord
from mlit.training.series_status import SeriesStatus
from mlit.training.series_step import SeriesContext, Target, whole_batch_bytes
from mlit.training.weighing import Weighing

LOG = logging.getLogger("mlit")
SETTLED = 0.7  # of the expected error: the next change would hardly add to it


def refinement(module: lightning.LightningModule) -> "RefinementModule":
    """Return the module that Lightning hands to a callback as what it is in a run."""
    assert isinstance(module, RefinementModule)
    return module


class RefinementModule(lightning.LightningModule):
    """Poses and hyperparameters of all tilt series, and the references that they are fitted to.

    One tilt series is one batch and one outer iteration is one epoch. A training step fits a series to the
    references of the epoch and adds its images to the sums of the next maps; the end of the epoch turns the sums
    into half maps and references. Epoch 0 fits nothing.

    Parameters
    ----------
    models, contexts
        Parameters and constants of every series.
    molecules
        The species, in the order in which the models have their particles.
    solver
        Optimiser.
    ledger
        Record of the series done in the epoch under way.
    weighing
        Estimates weights in the iterations that ask for it.
    selection
        Models to compare with the present one in an early iteration; None compares none.

    Attributes
    ----------
    batches
        How many images a fit holds at once.
    """

    def __init__(
        self,
        models: Mapping[str, SeriesModel],
        contexts: Mapping[str, SeriesContext],
        molecules: Sequence[Molecule],
        solver: Solver,
        ledger: SeriesLedger,
        weighing: Weighing,
        selection: ModelSelection | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.names = list(models)
        self.series = nn.ModuleList(models.values())
        self.contexts, self.molecules, self.schedule = dict(contexts), list(molecules), molecules[0].schedule
        self.solver, self.ledger = solver, ledger
        self.records = {name: SeriesRecord.before_fits(context) for name, context in contexts.items()}
        self.selection, self.weighing = selection, weighing
        self.batches = FitBatches(USUAL_BYTES)
        denoisers = [molecule.maps.denoiser for molecule in molecules]
        self.denoisers = nn.ModuleList(one for one in denoisers if one is not None)  # so that checkpoints hold them
        self.chosen: list[Candidate] = []
        self.settled = False
        self._seen: list[str] = []  # by this process in the epoch under way

    def model(self, name: str) -> SeriesModel:
        """Parameters of one series."""
        return self.series[self.names.index(name)]  # type: ignore[return-value]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "RefinementModule":
        """Leave parameters where they are, on the CPU; ``device`` is that of images, references and sums."""
        return self

    def configure_optimizers(self) -> None:
        """None: every training step runs its own optimiser to the end."""

    @property
    def fit_resolution_angstrom(self) -> float | None:
        """Finest detail in the fits of this epoch; None where nothing is fitted."""
        found = [] if self.settled else [m.fit_resolution(self.current_epoch) for m in self.molecules]
        return min((resolution for resolution in found if resolution is not None), default=None)

    @property
    def _finest_angstrom(self) -> float:
        """Finest detail in the fits and the maps of this epoch."""
        maps = [molecule.maps.sums.resolution_angstrom for molecule in self.molecules]
        return min([*maps, self.fit_resolution_angstrom or math.inf])

    @property
    def targets(self) -> list[Target | None]:
        """What the particles of each species are fitted to in this epoch."""
        return [molecule.target for molecule in self.molecules]

    def can_fit(self, name: str) -> bool:
        """Whether a series shows a species that there is something to fit to in this epoch."""
        members = self.contexts[name].members
        return any(target is not None and len(m.group) > 0 for m, target in zip(members, self.targets, strict=True))

    def on_train_epoch_start(self) -> None:
        """Lay out empty sums and transform the references."""
        rank_log.forget()
        self._seen = []
        for molecule in self.molecules:
            molecule.begin(self.current_epoch, not self.settled, self.device)

    def on_train_batch_start(self, batch: SeriesBatch, batch_idx: int) -> int | None:
        """End the epoch at once in a process that has no series."""
        return None if batch.name else -1

    def training_step(self, batch: SeriesBatch, batch_idx: int) -> None:
        """Fit one series, unless that is done already, and add it to the maps."""
        self._seen.append(batch.name)
        if batch.images is None:
            self._leave_out(batch)
            return
        with enough_memory(batch.name):
            self._work_on(batch.name, batch.images)

    def _work_on(self, name: str, images: TiltImages) -> None:
        record = self.records[name]
        images = replace(images, weights=self.contexts[name].weights).transformed(self._finest_angstrom)
        fits = self.can_fit(name)
        moves = fits and bool(self._iteration.blocks)
        self.records[name] = self._fit_or_recall(name, images) if moves else record.without_fit()
        model, context = self.model(name), self.contexts[name]
        if fits and self._iteration.weights:
            gather = functools.partial(
                self.weighing.gather, name, model, images, context, self.records[name], self.targets
            )
            self.batches.attempt(name, whole_batch_bytes(model, context, self.targets), gather, lambda: None)
        for species, molecule in enumerate(self.molecules):
            molecule.maps.add(
                name, self.current_epoch, model, images, context, species, self.records[name], self.batches.at_once
            )

    @property
    def _iteration(self) -> Iteration:
        """What this epoch does; not for epoch 0."""
        return self.schedule.iterations[self.current_epoch - 1]

    def particle_probability(self, name: str) -> Tensor:
        """Probability that each particle of a series is one; not a number for those that were given no weight."""
        believed = self.records[name].credence.particle_probability(self.contexts[name].false_fraction)
        used = torch.cat([members.use_particle for members in self.contexts[name].members])
        return torch.where(used, believed, torch.nan)

    def _leave_out(self, batch: SeriesBatch) -> None:
        status, record = SeriesStatus.left_out(batch.failure or ""), self.records[batch.name]
        if record.status.status != status.status:
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
        """Fit one series, and other models of it for comparison where this epoch compares them."""
        resolution = self.fit_resolution_angstrom
        assert resolution is not None
        model = self.model(name)
        rivals = self.selection.rivals(name, model) if self.selection and self._selects_model else []
        look_far = self.current_epoch == self.schedule.first_to_refine(Defocus.name)
        fitting = Fitting(self.solver, self.batches, self._iteration, self.targets, resolution, look_far)
        return fitting.fit(name, model, images, self.contexts[name], self.records[name], rivals)

    @property
    def _selects_model(self) -> bool:
        """Whether other models are compared in this epoch."""
        return self.selection is not None and self.selection.epoch == self.current_epoch

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
        """Let the first process make maps of what all have done, and follow it.

        Others could make the same maps, but not bit by bit the same on another processor. Then the processes might
        part: one stops, another one goes on.
        """
        self._collect()
        state = ranks.from_first(self._conclude)
        if not ranks.is_first():
            self._follow(state)

    def _collect(self) -> None:
        """Bring sums, parameters and findings of all processes to the first."""
        for molecule in self.molecules:
            ranks.add_up(molecule.maps.sums.rows)
        signals = self.weighing.signals
        mine = {
            name: SeriesFindings(self.model(name).state_dict(), self.records[name], signals.get(name))
            for name in self._seen
        }
        for name, found in gather_findings(mine).items():
            self.model(name).load_state_dict(found.parameters)
            self.records[name] = found.record
            if found.signal is not None:
                signals[name] = found.signal
        self.weighing.signals = {name: signals[name] for name in self.names if name in signals}

    def _conclude(self) -> dict[str, Any] | None:
        """Turn the sums into half maps and references; return what the next epoch starts from, if there is one."""
        self._make_maps()
        if self.trainer.should_stop or self.current_epoch + 1 == self.schedule.epochs:
            return None
        state: dict[str, Any] = {"state_dict": self.state_dict()}
        self.on_save_checkpoint(state)
        return state

    def _follow(self, state: dict[str, Any] | None) -> None:
        """Take over what the first process has concluded."""
        for molecule in self.molecules:
            molecule.end()
        self.weighing.signals = {}
        if state is None:
            self.trainer.should_stop = True
            return
        self.on_load_checkpoint(state)
        self.load_state_dict(state["state_dict"])

    def _make_maps(self) -> None:
        """Turn the sums into half maps and references."""
        if not any(molecule.maps.any_added for molecule in self.molecules):
            reasons = "; ".join(f"{name}: {record.status.status}" for name, record in self.records.items())
            raise InputError(f"no tilt series could be used ({reasons})")
        for molecule in self.molecules:
            molecule.make_half_maps()
        self._take_better_model()
        self._take_weights()
        self.settled = self.settled or self._is_settled
        finished = self.settled and all(molecule.is_complete for molecule in self.molecules)
        for species, molecule in enumerate(self.molecules):
            if finished or self.current_epoch + 1 == self.schedule.epochs:
                molecule.maps.judge_subsets()
            elif self.current_epoch == 0 and molecule.references is not None:
                molecule.references = molecule.maps.on_scale_of_images(molecule.references)
            elif not self.settled:
                molecule.references = self._in_common_frame(species, molecule.maps.make_references())
            molecule.end()
        self.trainer.should_stop = self.trainer.should_stop or finished
        self._log_epoch()

    def _take_weights(self) -> None:
        """Weigh the images of the following iterations as this one has found."""
        if self.weighing.signals:
            assert self.fit_resolution_angstrom is not None
            self.weighing.estimate(self.fit_resolution_angstrom)
            self.contexts = self.weighing.weigh(self.contexts, self.model)
            self.records = self.weighing.as_expected(self.records, self.contexts)

    @property
    def _is_settled(self) -> bool:
        """Whether the next iteration would repeat this one, which moved nothing by more than errors that remain."""
        if self.selection is not None and self.current_epoch <= self.selection.epoch:
            return False
        if self.fit_resolution_angstrom is None or not all(m.repeats(self.current_epoch + 1) for m in self.molecules):
            return False
        fitted = [record.status for record in self.records.values() if record.status.passes]
        return all(s.change.within(s.expected_error, SETTLED) and s.change_in_errors < SETTLED for s in fitted)

    def _in_common_frame(self, species: int, references: References) -> References:
        """Move references and poses of both half sets of a species to their common frame."""
        maps = self.molecules[species].maps
        motions = maps.common_frame() if self.schedule.moves_particles else None
        if motions is None:
            return references
        for name in self.names:
            context, poses = self.contexts[name], self.model(name).poses
            rows, half = context.rows(species), context.members[species].group // maps.settings.folds
            for number, motion in enumerate(motions):
                which = torch.zeros(len(poses.raw), dtype=torch.bool)
                which[rows] = half == number
                poses.follow(which, motion.rotation, motion.shift_angstrom)
        return references.moved(motions)

    def _log_epoch(self) -> None:
        for molecule in self.molecules:
            halves = molecule.maps.halves
            assert halves is not None
            self.log(f"resolution/fsc_0.143_angstrom/{molecule.name}", halves.curves.resolution_angstrom(0.143))
            self.log(f"resolution/significant_angstrom/{molecule.name}", halves.significant_resolution_angstrom)
        for name, record in self.records.items():
            if record.status.passes:
                self.log(f"log_posterior/{name}", record.status.log_posterior_end)
        self.log("step", float(self.current_epoch))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the next epoch starts from besides the parameters."""
        checkpoint["references"] = [m.references and vars(m.references) for m in self.molecules]
        checkpoint["records"] = {name: record.as_mapping() for name, record in self.records.items()}
        checkpoint["settled"] = self.settled
        checkpoint["weights"] = self.weighing.as_mapping()
        checkpoint["chosen"] = [(candidate.block, dict(candidate.change)) for candidate in self.chosen]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up again."""
        for molecule, references in zip(self.molecules, checkpoint["references"], strict=True):
            molecule.references = references and References(**references)
        self.records = {name: SeriesRecord.from_mapping(values) for name, values in checkpoint["records"].items()}
        self.settled = checkpoint["settled"]
        self.weighing.restore(checkpoint["weights"])
        self.contexts = self.weighing.weigh(self.contexts, self.model)
        self.chosen = [Candidate(*values) for values in checkpoint["chosen"]]
        if self.chosen:
            self._rebuild()
