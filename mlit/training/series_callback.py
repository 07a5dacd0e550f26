"""Callbacks that have something to do whenever a series is done."""

from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from mlit.training.data import SeriesBatch
from mlit.training.module import RefinementModule, refinement


class SeriesCallback(Callback):
    """Calls :meth:`after_series` in the terms of a refinement, which the subclass defines."""

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: SeriesBatch,
        batch_idx: int,
    ) -> None:
        """Pass on what Lightning says."""
        self.after_series(refinement(pl_module), batch)

    def after_series(self, module: RefinementModule, batch: SeriesBatch) -> None:
        """Do it."""
        raise NotImplementedError
