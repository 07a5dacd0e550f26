"""The trainer of a run: where it computes, and in how many processes."""

import hydra
import lightning
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig

from mlit.errors import InputError, one_line
from mlit.training.strategy import SeriesStrategy


def make_trainer(cfg: DictConfig, epochs: int) -> lightning.Trainer:
    """Make the trainer that ``cfg.trainer`` describes, with the callbacks and the logger of the run.

    Raises
    ------
    InputError
        If this computer has not what is asked for, or processes would be started from the middle of a sweep.
    """
    callbacks = [hydra.utils.instantiate(node) for node in cfg.callbacks.values()]
    logger = hydra.utils.instantiate(cfg.logger) if cfg.logger else False
    try:
        trainer = hydra.utils.instantiate(cfg.trainer, max_epochs=epochs, callbacks=callbacks, logger=logger)
    except InstantiationException as error:
        reason = one_line(error.__cause__ or error).rstrip(".")
        raise InputError(f"trainer: {reason}; give trainer=cpu, or devices that this computer has") from error
    check_trainer(trainer)
    return trainer


def check_trainer(trainer: lightning.Trainer) -> None:
    """Raise for what a trainer can do but a run cannot.

    Raises
    ------
    InputError
        If processes would be started from the middle of a sweep, or would all refine the same series.
    """
    strategy = trainer.strategy
    sweep = HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN
    if trainer.world_size > 1 and not isinstance(strategy, SeriesStrategy):
        raise InputError("trainer.devices: several processes share the series with trainer=ddp or trainer=slurm alone")
    environment = strategy.cluster_environment if isinstance(strategy, SeriesStrategy) else None
    if sweep and environment is not None and not environment.creates_processes_externally:
        raise InputError("trainer=ddp: a sweep (-m) cannot start processes; give trainer=cpu, or one call for each run")
