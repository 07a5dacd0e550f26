"""A run of mlit, stopped where a benchmark wants to look."""

from dataclasses import dataclass

import lightning
import torch
from omegaconf import DictConfig

from mlit.errors import InputError
from mlit.likelihood.tilt_images import TiltImages
from mlit.maps.references import reference_table
from mlit.training.assembly import load_projects, make_module
from mlit.training.data import TiltSeriesDataModule, TiltSeriesDataset
from mlit.training.module import RefinementModule
from mlit.training.run import fit
from mlit.training.series_step import Target
from mlit.training.species_configs import species_configs


class StopAfter(lightning.Callback):
    """Ends a run after some iterations, when the references for the next one are made.

    Parameters
    ----------
    iterations
        Fits of every series before the end; 0 stops after the reconstruction from the start.
    """

    def __init__(self, iterations: int) -> None:
        self.iterations = iterations

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stop."""
        trainer.should_stop = trainer.current_epoch >= self.iterations


@dataclass(frozen=True)
class Prepared:
    """A run that is about to fit its series.

    Attributes
    ----------
    module
        Parameters of all series as the run has them.
    dataset
        Images of all series.
    blocks
        What the coming iteration refines.
    resolution_angstrom
        Finest detail that takes part.
    """

    module: RefinementModule
    dataset: TiltSeriesDataset
    blocks: tuple[str, ...]
    resolution_angstrom: float

    def images(self, name: str) -> TiltImages:
        """Images of one series.

        Raises
        ------
        InputError
            If they cannot be used.
        """
        batch = self.dataset[self.module.names.index(name)]
        if batch.images is None:
            raise InputError(f"{name}: {batch.failure}")
        return batch.images

    def targets(self, device: torch.device) -> list[Target | None]:
        """Transform the references of every species, on a device."""
        found: list[Target | None] = []
        for molecule in self.module.molecules:
            references = molecule.references
            assert references is not None
            table = reference_table(
                references.maps.to(device), references.pixel_size_angstrom, self.resolution_angstrom
            )
            tight = molecule.maps.settings.references.tight_angstrom
            found.append(Target(table, tight, self.resolution_angstrom))
        return found


def prepare(cfg: DictConfig, iterations: int, resolution_angstrom: float | None = None) -> Prepared:
    """Run a refinement for some iterations.

    Parameters
    ----------
    cfg
        The composed ``conf/refine.yaml``.
    iterations
        Iterations to run, fewer than the schedule has.
    resolution_angstrom
        Finest detail in the fit that follows; None: as the schedule wants it.

    Raises
    ------
    InputError
        If the schedule is too short, or the references show nothing that could be fitted to.
    """
    if not 0 <= iterations < len(cfg.schedule.iterations):
        raise InputError(
            f"--after {iterations}: the schedule has {len(cfg.schedule.iterations)} iterations; give fewer"
        )
    cfg = cfg.copy()
    cfg.callbacks = {"stop": {"_target_": f"{__name__}.{StopAfter.__name__}", "iterations": iterations}}
    cfg.logger, cfg.trainer.enable_checkpointing = None, False
    projects = load_projects(cfg)
    module = make_module(projects, cfg)
    data = TiltSeriesDataModule(projects, max(one.species.diameter for one in species_configs(cfg)))
    fit(module, data, cfg)
    coming = iterations + 1
    found = [molecule.fit_resolution(coming) for molecule in module.molecules]
    wanted = min((one for one in found if one is not None), default=None)
    resolution = resolution_angstrom or wanted
    if resolution is None:
        raise InputError("the references show nothing to fit to; give --resolution")
    blocks = module.schedule.iterations[coming - 1].blocks
    return Prepared(module, data.dataset, blocks, resolution)
