"""Callbacks of a run: checkpoint, table of metrics."""

import csv
import logging
from contextlib import nullcontext
from dataclasses import astuple
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Checkpoint

from mlit.io.atomic import atomic_write
from mlit.io.fsc_star import write_fsc_star
from mlit.training.module import RefinementModule, refinement
from mlit.training.ranks import is_first

LOG = logging.getLogger("mlit")


class EpochCheckpoint(Checkpoint):
    """Saves the state after every iteration that another one follows.

    The last iteration is not saved: a run interrupted while it writes its results repeats their making, for which
    the ledger holds all fits.

    Parameters
    ----------
    path
        File of the checkpoint.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save."""
        assert trainer.max_epochs is not None
        if trainer.current_epoch + 1 < trainer.max_epochs:
            with atomic_write(self.path) if is_first() else nullcontext(self.path) as path:
                trainer.save_checkpoint(path)


class EpochReport(Checkpoint):
    """Says what every iteration reached and writes it down; runs after the maps are made.

    Derives from `Checkpoint` only so that Lightning calls it after the module's own hook.

    Parameters
    ----------
    folder
        Gets ``metrics.csv`` and the FSC of every iteration.
    """

    FIELDS: tuple[str, ...] = (
        "iteration",
        "series",
        "status",
        "passes",
        "log_posterior_start",
        "log_posterior_end",
        "held_out_log_likelihood",
        "images",
        "fit_resolution_angstrom",
        "change_position_angstrom",
        "change_rotation_deg",
        "change_defocus_nm",
        "expected_error_position_angstrom",
        "expected_error_rotation_deg",
        "expected_error_defocus_nm",
    )
    FURTHER = ("fsc_0.143_angstrom", "significant_resolution_angstrom")  # behind NAME/ for species after the first

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.path = self.folder / "metrics.csv"

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Log and write."""
        if not is_first():
            return
        module = refinement(pl_module)
        reached = self._write_fscs(module, trainer.current_epoch)
        if module.settled:
            LOG.info("settled: the last fits moved particles by less than the error that remains")
        rows = [row for row in self._rows() if int(row["iteration"]) < trainer.current_epoch]
        for name, record in module.records.items():
            status = record.status
            values = (
                trainer.current_epoch,
                name,
                status.status,
                status.passes,
                status.log_posterior_start,
                status.log_posterior_end,
                status.held_out_log_likelihood,
                status.images,
                status.resolution_angstrom,
                *astuple(status.change),
                *astuple(status.expected_error),
            )
            rows.append(dict(zip(self.FIELDS, values, strict=True)) | reached)
        with atomic_write(self.path) as path, open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*self.FIELDS, *reached])
            writer.writeheader()
            writer.writerows(rows)

    def _write_fscs(self, module: RefinementModule, epoch: int) -> dict[str, float]:
        """Write and log the FSC of each species; returns how far it goes, by column."""
        reached: dict[str, float] = {}
        for species, molecule in enumerate(module.molecules):
            halves = molecule.maps.halves
            assert halves is not None
            write_fsc_star(self.folder / "fsc" / molecule.name / f"iteration_{epoch}.star", halves.curves)
            found = halves.curves.resolution_angstrom(0.143), halves.significant_resolution_angstrom
            whose = f" of {molecule.name}" if len(module.molecules) > 1 else ""
            LOG.info("  half maps%s: FSC 0.143 at %.2f Å, agreement to %.2f Å", whose, *found)
            prefix = f"{molecule.name}/" if species else ""
            reached |= {prefix + name: value for name, value in zip(self.FURTHER, found, strict=True)}
        return reached

    def _rows(self) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        with open(self.path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
