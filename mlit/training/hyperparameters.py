"""Settings of a run with its scores, for a logger that compares runs."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from omegaconf import DictConfig, OmegaConf

from mlit.training.module import RefinementModule, refinement
from mlit.training.progress import resolutions
from mlit.training.ranks import is_first
from mlit.training.series_status import summary_of_fits

Scalar = bool | int | float | str


class Hyperparameters(Callback):
    """Gives settings, resolution and held-out score to TensorBoard's table of hyperparameters at the end of a run.

    Parameters
    ----------
    settings
        Nested settings that runs may differ in.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        given = OmegaConf.to_container(settings, resolve=True) if isinstance(settings, DictConfig) else dict(settings)
        assert isinstance(given, dict)
        self.settings = dict(flattened(given))

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Hand them over."""
        if not is_first():
            return
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.log_hyperparams(self.settings, scores(refinement(pl_module)))


def flattened(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Scalar]]:
    """Yield dotted keys with plain values; lists become text."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, Scalar) else json.dumps(value)


def scores(module: RefinementModule) -> dict[str, float]:
    """Best resolution of the last half maps, and held-out log-likelihood of an image where anything was fitted."""
    found = {"score/fsc_0.143_angstrom": min(resolutions(module).values())}
    held_out = summary_of_fits(record.status for record in module.records.values())["held_out_log_likelihood"]
    return found if held_out is None else found | {"score/held_out_log_likelihood": held_out}
