"""A run of mlit, stopped where a benchmark wants to look."""

from dataclasses import dataclass

import lightning
from omegaconf import DictConfig

from mlit.errors import InputError
from mlit.fourier.slices import ReferenceTable
from mlit.likelihood.tilt_images import TiltImages
from mlit.maps.references import reference_table
from mlit.training.assembly import load_project, make_module
from mlit.training.data import TiltSeriesDataModule, TiltSeriesDataset
from mlit.training.map_maker import References
from mlit.training.module import RefinementModule
from mlit.training.run import fit


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
    references
        What the series are fitted to.
    blocks
        What the coming iteration refines.
    resolution_angstrom
        Finest detail that takes part.
    """

    module: RefinementModule
    dataset: TiltSeriesDataset
    references: References
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

    def table(self) -> ReferenceTable:
        """Transform the references."""
        references = self.references
        return reference_table(references.maps, references.pixel_size_angstrom, self.resolution_angstrom)


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
    project = load_project(cfg)
    module = make_module(project, cfg)
    data = TiltSeriesDataModule(project, cfg.species.diameter)
    fit(module, data, cfg)
    assert module.references is not None
    coming = iterations + 1
    wanted = module.schedule.fit_resolution(coming, module.references.resolution_angstrom)
    resolution = resolution_angstrom or wanted
    if resolution is None:
        raise InputError("the references show nothing to fit to; give --resolution")
    blocks = module.schedule.iterations[coming - 1].blocks
    return Prepared(module, data.dataset, module.references, blocks, resolution)
