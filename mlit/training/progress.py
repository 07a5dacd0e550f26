"""Progress of a run: lines for the log, and one view that renews itself where there is a terminal."""

import logging
import time
from dataclasses import replace
from typing import Any

import lightning

from mlit.training.data import SeriesBatch
from mlit.training.module import RefinementModule, refinement
from mlit.training.progress_pace import Pace, duration
from mlit.training.progress_view import ONE_SERIES, ProgressView, State, has_terminal
from mlit.training.series_callback import SeriesCallback
from mlit.training.series_status import SeriesStatus, summary_of_fits

LOG = logging.getLogger("mlit")


class Progress(SeriesCallback):
    """Says what an iteration does, how each series went, what is left and what was reached.

    Parameters
    ----------
    live
        Show a view in place of the lines for each series, where there is a terminal; the log file has the lines.
    """

    def __init__(self, live: bool = True) -> None:
        self.live = live
        self._view: ProgressView | None = None
        self._state = State()
        self._pace = Pace({}, 1)
        self._since = time.monotonic()
        self._known: int | None = None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Count what there is to do."""
        self._pace = Pace(images_to_do(trainer, refinement(pl_module)), refinement(pl_module).schedule.epochs)
        if self.live and trainer.is_global_zero and has_terminal():
            self._view = ProgressView()
            self._view.start()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Say what was reached, and what comes."""
        module = refinement(pl_module)
        if all(molecule.maps.halves is not None for molecule in module.molecules):
            self._end_iteration(module)
        text = _announce(module, trainer.current_epoch)
        self._pace.begin(trainer.current_epoch, module.fit_resolution_angstrom, module.settled)
        self._since = time.monotonic()
        self._show(iteration=text, stage="reading", done=0, total=len(self._pace.images), left=self._left())

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: SeriesBatch, batch_idx: int
    ) -> None:
        """Show which series is worked on."""
        module = refinement(pl_module)
        self._known = module.ledger.written(batch.name)
        self._show(stage=f"{'adding' if module.fit_resolution_angstrom is None else 'fitting'} {batch.name}")

    def after_series(self, module: RefinementModule, batch: SeriesBatch) -> None:
        """Say how a series went and what is left."""
        now = time.monotonic()
        fitted = module.ledger.written(batch.name) != self._known
        self._pace.series(batch.name, now - self._since, fitted, batch.images is not None)
        self._since = now
        status = module.records[batch.name].status
        done = len(self._pace.images) - len(self._pace.todo)
        if status.passes:
            line = _line(batch.name, f"{done} of {len(self._pace.images)}", status)
            LOG.info("  %s%s", line, self._left("; "), extra={ONE_SERIES: True})
        self._show(stage="reading", done=done, left=self._left())

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Show that maps are made; Lightning calls this before the module makes them."""
        self._since = time.monotonic()
        self._show(stage="making maps")

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Say what was reached."""
        self._end_iteration(refinement(pl_module))
        self._stop()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Give the terminal back."""
        self._stop()

    def _end_iteration(self, module: RefinementModule) -> None:
        """Learn from the iteration that has ended."""
        self._pace.end(time.monotonic() - self._since)
        score = f"FSC 0.143 {', '.join(f'{found:.2f}' for found in resolutions(module).values())} Å"
        held_out = summary_of_fits(record.status for record in module.records.values())["held_out_log_likelihood"]
        if held_out is not None:
            LOG.info("  held-out log-likelihood of an image: %.3f", held_out)
            score += f", held-out {held_out:.3f}"
        self._show(score=score)

    def _left(self, before: str = "") -> str:
        """Write how much time is left, as far as that is known."""
        whole, iteration = self._pace.left(), self._pace.left_in_iteration()
        if whole is not None:
            return f"{before}about {duration(whole)} left"
        return "" if iteration is None else f"{before}about {duration(iteration)} left in this iteration"

    def _show(self, **changes: Any) -> None:
        self._state = replace(self._state, **changes)
        if self._view is not None:
            self._view.show(self._state)

    def _stop(self) -> None:
        if self._view is not None:
            self._view.stop()
            self._view = None


def images_to_do(trainer: lightning.Trainer, module: RefinementModule) -> dict[str, int]:
    """Particle images of the series that this process works on."""
    loader: Any = trainer.train_dataloader
    names = [module.names[index] for index in loader.order if index >= 0]
    contexts = {name: module.contexts[name] for name in names}
    return {name: sum(len(m.group) for m in one.members) * int(one.use_tilt.sum()) for name, one in contexts.items()}


def resolutions(module: RefinementModule) -> dict[str, float]:
    """How far the half maps of each species agreed when they were last made."""
    made = {molecule.name: molecule.maps.halves for molecule in module.molecules}
    return {name: halves.curves.resolution_angstrom(0.143) for name, halves in made.items() if halves is not None}


def _announce(module: RefinementModule, epoch: int) -> str:
    """Log what an iteration does; returns its short name."""
    resolution, last = module.fit_resolution_angstrom, module.schedule.epochs - 1
    if module.settled:
        LOG.info("reconstructing at full resolution")
        return "last maps"
    if epoch == 0:
        LOG.info("reconstructing %d series from the starting metadata", len(module.names))
        return "first maps"
    if resolution is None:
        agreed = [m.references.resolution_angstrom for m in module.molecules if m.references is not None]
        LOG.warning(
            "iteration %d of %d: nothing to fit, since half maps agree on nothing finer than %.0f Å; "
            "give half maps to start from, or a resolution in the schedule",
            epoch,
            last,
            min(agreed),
        )
    else:
        iteration = module.schedule.iterations[epoch - 1]
        work = [*iteration.blocks, *["weights"] * iteration.weights] or ["maps"]
        LOG.info("iteration %d of %d: %s to %.1f Å", epoch, last, ", ".join(work), resolution)
    return f"iteration {epoch} of {last}"


def _line(name: str, number: str, status: SeriesStatus) -> str:
    gain = status.log_posterior_end - status.log_posterior_start
    moved, error = status.change, status.expected_error
    return (
        f"{name} ({number}) {status.status}: log-posterior {gain:+.1f} in {status.passes} passes; "
        f"moved {moved.position_angstrom:.2f} Å, {moved.rotation_deg:.2f}°; "
        f"expected error {error.position_angstrom:.2f} Å, {error.rotation_deg:.2f}°"
    )
