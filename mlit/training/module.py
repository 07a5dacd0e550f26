"""The refinement as a LightningModule."""

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.linalg import LinAlgError  # pyright: ignore

from mlit.deformation.defocus import Defocus
from mlit.deformation.series_model import SeriesModel
from mlit.errors import InputError
from mlit.fourier.insertion import FourierSums
from mlit.fourier.resize import resample_map
from mlit.fourier.slices import ReferenceTable
from mlit.likelihood.defocus_search import DefocusSearch
from mlit.likelihood.deviation import NONE, Deviation
from mlit.likelihood.tilt_images import TiltImages
from mlit.maps.common_frame import common_frame
from mlit.maps.references import HalfMaps, ReferenceSettings, half_maps, reference_maps, reference_table
from mlit.maps.rigid_motion import move_map
from mlit.optim.solvers import Solver
from mlit.training.data import SeriesBatch
from mlit.training.ledger import SeriesLedger
from mlit.training.reference_scale import scale_to_images
from mlit.training.schedule import Schedule
from mlit.training.series_step import SeriesContext, add_to_maps, fit, relative_amplitude

LOG = logging.getLogger("mlit")
LEFT_OUT = "left out"
SETTLED = 0.7  # of the expected error: the next change would hardly add to it


@dataclass(frozen=True)
class MapSettings:
    """Maps of the run.

    Attributes
    ----------
    references
        How references are made.
    box
        Side of the maps in pixels.
    pixel_size_angstrom
        Their pixel size.
    folds
        Groups of particles in each half set.
    operators
        Rotations of the point group.
    mask
        Given mask, or None for an automatic one.
    seed
        For the phase randomisation.
    """

    references: ReferenceSettings
    box: int
    pixel_size_angstrom: float
    folds: int
    operators: Tensor
    mask: Tensor | None = None
    seed: int = 0


@dataclass(frozen=True)
class SeriesStatus:
    """How the last fit of a series went.

    ``status`` starts with converged, improved, unchanged, rejected (the parameters are those before the fit) or
    left out (its images cannot be used).

    Attributes
    ----------
    passes
        Passes over the images.
    log_posterior_start, log_posterior_end
        Objective before and after.
    held_out_log_likelihood
        Sum over all images of what each would have had, if it had been kept out of the fit; against no signal at all.
    images
        Images that took part.
    resolution_angstrom
        Finest detail that took part.
    change
        How far the particles moved in the images.
    change_in_errors
        How far the optics moved, in standard errors.
    expected_error
        How far they are still off, by the curvature of the objective.
    """

    status: str
    passes: int = 0
    log_posterior_start: float = float("nan")
    log_posterior_end: float = float("nan")
    held_out_log_likelihood: float = float("nan")
    images: int = 0
    resolution_angstrom: float = float("nan")
    change: Deviation = NONE
    change_in_errors: float = float("nan")
    expected_error: Deviation = NONE

    def as_mapping(self) -> dict[str, Any]:
        """Plain values, for files."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "SeriesStatus":
        """Undo :meth:`as_mapping`."""
        deviations = {name: Deviation(**values[name]) for name in ("change", "expected_error")}
        return cls(**{**values, **deviations})


@dataclass(frozen=True)
class References:
    """References of an epoch.

    Attributes
    ----------
    maps
        One map ``"group z y x"`` for each group of particles.
    pixel_size_angstrom
        Their voxel size.
    resolution_angstrom
        How far they are significant.
    """

    maps: Tensor
    pixel_size_angstrom: float
    resolution_angstrom: float


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
        Maps of the run.
    schedule
        What each iteration does.
    solver
        Optimiser.
    ledger
        Record of the series done in the epoch under way.
    start
        References to start from; None makes them from the starting poses.
    """

    def __init__(
        self,
        models: Mapping[str, SeriesModel],
        contexts: Mapping[str, SeriesContext],
        maps: MapSettings,
        schedule: Schedule,
        solver: Solver,
        ledger: SeriesLedger,
        start: References | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.names = list(models)
        self.series = nn.ModuleList(models.values())
        self.contexts, self.maps, self.schedule = dict(contexts), maps, schedule
        self.solver, self.ledger = solver, ledger
        self.amplitudes = {name: contexts[name].amplitude_prior for name in self.names}
        self.statuses = {name: SeriesStatus("not fitted") for name in self.names}
        self.errors: dict[str, dict[str, Tensor]] = {name: {} for name in self.names}
        self.searches: dict[str, DefocusSearch] = {}
        self.references = start
        self.halves: HalfMaps | None = None
        self.settled = False
        self._sums: FourierSums | None = None
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
        self._sums = FourierSums.zeros(
            2 * self.maps.folds, self.maps.box, self.maps.pixel_size_angstrom, resolution, self.device
        )
        if self.fit_resolution_angstrom is not None:
            assert self.references is not None
            maps, pixel = self.references.maps.to(self.device), self.references.pixel_size_angstrom
            self._table = reference_table(maps, pixel, self.fit_resolution_angstrom)

    def training_step(self, batch: SeriesBatch, batch_idx: int) -> None:
        """Fit one series, unless that is done already, and add it to the maps."""
        if batch.images is None:
            self._leave_out(batch)
            return
        if self.fit_resolution_angstrom is not None:
            self._fit_or_recall(batch.name, batch.images)
        else:
            self.statuses[batch.name] = SeriesStatus("not fitted")
        amplitude = relative_amplitude(self.amplitudes[batch.name], self.contexts[batch.name].amplitude_prior)
        assert self._sums is not None
        length = self.maps.box * self.maps.pixel_size_angstrom
        model, context = self.model(batch.name), self.contexts[batch.name]
        add_to_maps(self._sums, model, batch.images, context, amplitude, length)

    def _leave_out(self, batch: SeriesBatch) -> None:
        status = SeriesStatus(f"{LEFT_OUT}: {batch.failure}")
        if self.statuses[batch.name] != status:
            LOG.warning("%s is %s", batch.name, status.status)
        self.statuses[batch.name] = status

    def left_out(self) -> dict[str, str]:
        """Series that the last epoch could not use, with the reason."""
        start = f"{LEFT_OUT}: "
        return {
            name: status.status.removeprefix(start)
            for name, status in self.statuses.items()
            if status.status.startswith(start)
        }

    def expected_error(self) -> dict[str, float] | None:
        """Return the error expected of all series, root mean square over images; None where none was fitted."""
        fitted = [status for status in self.statuses.values() if status.images]
        if not fitted:
            return None
        total = sum(status.images for status in fitted)
        return {
            name: math.sqrt(sum(s.images * getattr(s.expected_error, name) ** 2 for s in fitted) / total)
            for name in ("position_angstrom", "rotation_deg", "defocus_nm")
        }

    def last_fit_resolution_angstrom(self) -> float | None:
        """Return how far the last fits looked; None where no series was fitted."""
        fitted = [status.resolution_angstrom for status in self.statuses.values() if status.images]
        return fitted[0] if fitted else None

    def held_out_log_likelihood(self) -> float | None:
        """Held-out log-likelihood of an image in the mean; None where no series was fitted."""
        fitted = [status for status in self.statuses.values() if status.images]
        if not fitted:
            return None
        return sum(s.held_out_log_likelihood for s in fitted) / sum(s.images for s in fitted)

    def _fit_or_recall(self, name: str, images: TiltImages) -> None:
        known = self.ledger.find(name, self.current_epoch)
        if known is not None:
            self.model(name).load_state_dict(known["model"])
            self.amplitudes[name] = known["amplitude"]
            self.statuses[name] = SeriesStatus.from_mapping(known["status"])
            self.errors[name] = known["errors"]
            self._note_search(name, known["search"] and DefocusSearch(**known["search"]))
            return
        self.statuses[name] = status = self._fit(name, images)
        if status.status.startswith("rejected"):
            LOG.warning("%s keeps the parameters it had, its fit is %s", name, status.status)
        state = {
            "model": self.model(name).state_dict(),
            "amplitude": self.amplitudes[name],
            "status": self.statuses[name].as_mapping(),
            "errors": self.errors[name],
            "search": vars(self.searches[name]) if name in self.searches else None,
        }
        self.ledger.record(name, self.current_epoch, state)

    def _fit(self, name: str, images: TiltImages) -> SeriesStatus:
        """Fit one series; whatever goes wrong becomes its status, and its parameters stay as they were."""
        model, resolution = self.model(name), self.fit_resolution_angstrom
        assert resolution is not None
        assert self._table is not None
        iteration = self.schedule.iterations[self.current_epoch - 1]
        model.activate(iteration.blocks)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        tight = self.maps.references.tight_angstrom
        try:
            result = fit(
                model,
                images,
                self.contexts[name],
                self._table,
                tight,
                resolution,
                self.solver,
                iteration.learn_priors,
                self.current_epoch == self.schedule.first_to_refine(Defocus.name),
            )
        except (RuntimeError, MemoryError) as error:
            if not _is_expected(error):
                raise
            model.load_state_dict(before)
            return SeriesStatus(f"rejected: {error}".splitlines()[0], resolution_angstrom=resolution)
        outcome, posterior = result.outcome, result.posterior
        if posterior is None:
            model.load_state_dict(before)
            return SeriesStatus("rejected: objective is not finite", outcome.passes, resolution_angstrom=resolution)
        self._note_search(name, result.search)
        self.amplitudes[name] = result.amplitude
        self.errors[name] |= {"poses": posterior.poses} | {
            block.name: part for block, part in model.split(posterior.hyper_error)
        }
        return SeriesStatus(
            outcome.status,
            outcome.passes,
            outcome.start,
            outcome.end,
            float(posterior.held_out.sum()),
            int(result.seen.sum()),
            resolution,
            result.change,
            result.change_in_errors,
            Deviation.expected(posterior.local, result.seen),
        )

    def _note_search(self, name: str, search: DefocusSearch | None) -> None:
        """Keep what a search of this epoch has found, or that there was none."""
        self.searches.pop(name, None)
        if search is not None:
            self.searches[name] = search

    def on_train_epoch_end(self) -> None:
        """Turn the sums into half maps and references."""
        assert self._sums is not None
        halves = self._sums.rows.unflatten(0, (2, -1))
        if not torch.any(halves):
            reasons = "; ".join(f"{name}: {status.status}" for name, status in self.statuses.items())
            raise InputError(f"no tilt series could be used ({reasons})")
        for number, half in enumerate(halves, 1):
            if not torch.any(half):
                raise InputError(f"half set {number} is empty: no particle of it could be used; assign the halves anew")
        expected = self.fit_resolution_angstrom or self._sums.resolution_angstrom
        settings, maps = self.maps.references, self.maps
        mask = None if maps.mask is None else resample_map(maps.mask.to(self.device), self._sums.size).clamp(0, 1)
        self.halves = half_maps(self._sums, maps.operators, settings, mask, max(expected, 15.0), maps.seed)
        complete = self._sums.resolution_angstrom <= self.schedule.nyquist_angstrom
        self.settled = self.settled or self._is_settled()
        if self.settled and complete:
            self.trainer.should_stop = True
        elif self.current_epoch == 0 and self.references is not None:
            self.references = self._on_scale_of_images(self.references)
        elif self.current_epoch + 1 < self.schedule.epochs and not self.settled:
            volumes = reference_maps(self._sums, self.halves, maps.operators, settings)
            limit = self.halves.significant_resolution_angstrom
            self.references = References(self._align_halves(volumes), self._sums.pixel_size_angstrom, limit)
        self._sums = self._table = None
        self._log_epoch()

    def _is_settled(self) -> bool:
        """Whether the next iteration would repeat this one, which moved nothing by more than errors that remain."""
        assert self.halves is not None
        resolution, limit = self.fit_resolution_angstrom, self.halves.significant_resolution_angstrom
        if resolution is None or not self.schedule.repeats(self.current_epoch + 1, resolution, limit):
            return False
        fitted = [status for status in self.statuses.values() if status.passes]
        return all(s.change.within(s.expected_error, SETTLED) and s.change_in_errors < SETTLED for s in fitted)

    def _on_scale_of_images(self, given: References) -> References:
        assert self.halves is not None
        maps = given.maps.to(self.device)
        factor = scale_to_images(maps, given.pixel_size_angstrom, self.halves)
        return replace(given, maps=maps * factor)

    def _align_halves(self, volumes: Tensor) -> Tensor:
        """Move references and poses of both half sets to their common frame."""
        assert self.halves is not None
        motions = common_frame(self.halves, self.maps.operators, self.maps.references.diameter_angstrom)
        if motions is None:
            return volumes
        for name in self.names:
            half = self.contexts[name].group // self.maps.folds
            for number, motion in enumerate(motions):
                self.model(name).poses.follow(half == number, motion.rotation, motion.shift_angstrom)
        pixel, folds = self.halves.pixel_size_angstrom, self.maps.folds
        return torch.stack([move_map(v, motions[g // folds], pixel) for g, v in enumerate(volumes)])

    def _log_epoch(self) -> None:
        assert self.halves is not None
        epoch = float(self.current_epoch)
        self.log("resolution/fsc_0.143_angstrom", self.halves.curves.resolution_angstrom(0.143))
        self.log("resolution/significant_angstrom", self.halves.significant_resolution_angstrom)
        for name, status in self.statuses.items():
            if status.passes:
                self.log(f"log_posterior/{name}", status.log_posterior_end)
        self.log("step", epoch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the next epoch starts from besides the parameters."""
        assert self.references is not None
        checkpoint["references"] = vars(self.references)
        checkpoint["amplitudes"] = self.amplitudes
        checkpoint["errors"] = self.errors
        checkpoint["settled"] = self.settled

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up again."""
        self.references = References(**checkpoint["references"])
        self.amplitudes = dict(checkpoint["amplitudes"])
        self.errors = dict(checkpoint["errors"])
        self.settled = checkpoint["settled"]


def _is_expected(error: Exception) -> bool:
    """Whether an error of a fit says something about the series: a singular system, or want of memory."""
    known = (LinAlgError, torch.OutOfMemoryError, MemoryError)
    return isinstance(error, known) or "alloc" in str(error)
