"""What TensorBoard shows of a run: scalars and pictures of every iteration, and the final maps."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from mlit.deformation.image_warp import ImageWarp
from mlit.errors import only_warned
from mlit.report.figures import fsc_figure
from mlit.report.live_figures import pixels, sections_figure, warp_figure
from mlit.report.live_numbers import Values, block_scalars, block_values, fit_scalars, pose_scalars
from mlit.report.map_figures import average_sections, section_numbers
from mlit.report.run_folder import RunFolder
from mlit.report.warp_fields import fields_of, largest_fields
from mlit.training.module import RefinementModule, refinement
from mlit.training.ranks import is_first

FOLDER = "tensorboard"


class Board(Checkpoint):
    """Gives scalars, curves, image warp and sections of every iteration to TensorBoard; without it, does nothing.

    Derives from `Checkpoint` only so that Lightning calls it after the module's own hook; it comes after
    :class:`mlit.training.callbacks.EpochReport`, whose files it draws.

    Parameters
    ----------
    folder
        Output folder of the run.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self._before: Values = {}

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Remember the parameters, to say how far the iteration moves them."""
        if _writers(trainer):
            with _only_warned():
                self._before = block_values(_models(refinement(pl_module)))

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write; a run is not lost if that fails: a warning says so."""
        writers = _writers(trainer)
        if not writers:
            return
        module, step = refinement(pl_module), trainer.current_epoch
        with _only_warned():
            scalars = self._scalars(module)
            pictures = {tag: pixels(figure) for tag, figure in self._figures(module)}
            for writer in writers:
                for tag, value in scalars.items():
                    writer.add_scalar(tag, value, step)
                for tag, picture in pictures.items():
                    writer.add_image(tag, picture, step, dataformats="HWC")

    def _scalars(self, module: RefinementModule) -> dict[str, float]:
        models = _models(module)
        errors = {name: record.errors for name, record in module.records.items()}
        found = fit_scalars({name: record.status for name, record in module.records.items()})
        found |= block_scalars(models, errors, self._before)
        for species, molecule in enumerate(module.molecules):
            found |= pose_scalars(models, errors, species, molecule.name)
        return found

    def _figures(self, module: RefinementModule) -> Iterator[tuple[str, Figure]]:
        for molecule in module.molecules:
            yield f"fsc/{molecule.name}", fsc_figure(self.folder, molecule.name)
            halves = molecule.maps.halves
            assert halves is not None
            raw = average_sections(halves.first, halves.second, halves.pixel_size_angstrom)
            yield f"map_sections/{molecule.name}", sections_figure([raw])
        fields, _ = largest_fields(
            {
                name: fields_of(name, block.physical().numpy(), block.in_units(error).numpy())
                for name, model in _models(module).items()
                for block in model.block_list
                if block.name == ImageWarp.name and (error := module.records[name].errors.get(block.name)) is not None
            }
        )
        if fields:
            yield "image_warp", warp_figure(fields)


def board_final_maps(run: Path) -> None:
    """Add sections of the final maps, raw, sharpened and denoised, where TensorBoard has the run already.

    Never raises: a run is not lost if that fails, a warning says so.

    Parameters
    ----------
    run
        Folder of a finished run.
    """
    if not (run / FOLDER).is_dir():
        return
    with _only_warned():
        folder = RunFolder(run)
        step = 0 if folder.metrics.empty else int(folder.metrics["iteration"].max())
        with SummaryWriter(run / FOLDER) as writer:
            for species in folder.species:
                if sections := section_numbers(folder, species):
                    picture = pixels(sections_figure(sections))
                    writer.add_image(f"map_sections_final/{species}", picture, step, dataformats="HWC")


def _only_warned() -> AbstractContextManager[None]:
    return only_warned("TensorBoard lacks scalars or pictures", "the run goes on, its other results are complete")


def _writers(trainer: lightning.Trainer) -> list[SummaryWriter]:
    """Writers of TensorBoard, in the first process."""
    if not is_first():
        return []
    return [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]


def _models(module: RefinementModule) -> dict:
    return {name: module.model(name) for name in module.names}
