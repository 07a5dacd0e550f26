"""A refinement or reconstruction from config to results."""

import contextlib
import logging
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import lightning
from omegaconf import DictConfig

from mlit.devices import single_precision
from mlit.errors import InputError
from mlit.parallel import one_thread_each, reuse_memory
from mlit.project.project import Project
from mlit.project.relion_export import FOLDER
from mlit.training import rank_log, ranks
from mlit.training.assembly import load_projects, make_module, make_species, sizes_of
from mlit.training.data import STORAGE, TiltSeriesDataModule
from mlit.training.fit_batches import FitBatches
from mlit.training.memory import Holding, Place, estimate_together
from mlit.training.memory_here import free_gpu_memory
from mlit.training.memory_plan import check_gpu_memory, check_memory, plan_memory, processes_here, where
from mlit.training.module import RefinementModule
from mlit.training.run_record import claim_output, note_settings
from mlit.training.run_results import write_results
from mlit.training.signals import end_with_first
from mlit.training.species_configs import species_configs
from mlit.training.trainer import make_trainer

LOG = logging.getLogger("mlit")


def refine(cfg: DictConfig) -> bool:
    """Refine a project and write the results into ``cfg.output``.

    The same command goes on where an interrupted run stopped; of a finished run nothing is done again.

    Parameters
    ----------
    cfg
        The composed ``conf/refine.yaml`` or ``conf/reconstruct.yaml``.

    Returns
    -------
    Whether anything was done: False where the run was finished already.

    Raises
    ------
    InputError
        If the input cannot be used, or the output holds a run with other settings.
    """
    started = time.monotonic()
    rank_log.hold_back()
    end_with_first()
    reuse_memory()
    output = Path(cfg.output)
    check_config(cfg)
    claim_output(output, cfg)
    if (output / "summary.json").is_file():
        LOG.info("%s is finished already; give another output=… or delete it to run again", output)
        ranks.leave_to_first()
        return False
    lightning.seed_everything(cfg.seed, verbose=False)
    species = [make_species(one) for one in species_configs(cfg)]  # what is wrong is said before files are read
    projects = load_projects(cfg)
    for project in projects:
        refuse_inputs_as_outputs(project, output, [one.name for one in species])
    module = make_module(projects, cfg)
    held = plan_holding(projects, module, cfg)
    if ranks.is_first():
        note_settings(output, cfg)
    data = TiltSeriesDataModule(
        projects, max(one.diameter_angstrom for one in species), held, STORAGE[cfg.images.storage]
    )
    fit(module, data, cfg)
    ranks.leave_to_first()
    write_results(output, projects, module, cfg, time.monotonic() - started)
    return True


def plan_holding(projects: Sequence[Project], module: RefinementModule, cfg: DictConfig) -> Holding:
    """Say how much of its images a run holds at a time, and log what it takes.

    Raises
    ------
    InputError
        If it cannot fit into the memory.
    """
    sizes, processes = sizes_of(projects, module, STORAGE[cfg.images.storage]), processes_here(cfg.trainer)
    gpu_bytes = free_gpu_memory(cfg.trainer)
    held = plan_memory(sizes, cfg.memory_gib, processes, gpu_bytes)
    check_memory(estimate_together(sizes, held, where(gpu_bytes)), cfg.memory_gib, processes)
    if gpu_bytes is not None:
        check_gpu_memory(estimate_together(sizes, held, Place.GPU), gpu_bytes)
    LOG.info("held at most: %s", held)
    module.batches = FitBatches(held.batch_bytes)
    return held


def check_config(cfg: DictConfig) -> None:
    """Raise for values that the kinds of the defaults allow but that make no sense.

    Raises
    ------
    InputError
        Naming the key.
    """
    unit = cfg.data.coordinate_pixel_size_angstrom
    wrong = {
        f"seed={cfg.seed}: must lie between 0 and 2^32 - 1": not 0 <= cfg.seed < 2**32,
        f"folds={cfg.folds}: must be at least 1": cfg.folds is not None and cfg.folds < 1,
        f"references.tight_box={cfg.references.tight_box}: must be at least 1": cfg.references.tight_box < 1,
        f"memory_gib={cfg.memory_gib}: must be above zero": cfg.memory_gib is not None and not cfg.memory_gib > 0,
        f"images.storage={cfg.images.storage}: give one of {', '.join(STORAGE)}": cfg.images.storage not in STORAGE,
        f"optimizer.passes={cfg.optimizer.passes}: must be at least 1": cfg.optimizer.passes < 1,
        f"data.coordinate_pixel_size_angstrom={unit}: must be above zero": unit is not None and not unit > 0,
    }
    for number, iteration in enumerate(cfg.schedule.iterations, 1):
        missing = {"resolution_angstrom", "blocks"} - set(iteration)
        wrong[f"schedule.iterations: entry {number} lacks {', '.join(sorted(missing))}"] = bool(missing)
    for message, holds in wrong.items():
        if holds:
            raise InputError(message)


def refuse_inputs_as_outputs(project: Project, output: Path, species: Sequence[str]) -> None:
    """Raise where a result would be written over what it is made from.

    Raises
    ------
    InputError
        Naming the file.
    """
    results = {(output / "warp_tiltseries" / f"{series.name}.xml").resolve() for series in project.series}
    results |= {(output / name / "particles.star").resolve() for name in species}
    folders = [output / FOLDER, *(output / FOLDER / name for name in species)]
    results |= {(folder / name).resolve() for folder in folders for name in ("tomograms.star", "particles.star")}
    inputs = {path.resolve() for path in (*project.input_paths, *(series.xml.path for series in project.series))}
    for path in sorted(results & inputs):
        raise InputError(f"output={output}: {path} is an input and would be overwritten; give another output=…")


def fit(module: RefinementModule, data: TiltSeriesDataModule, cfg: DictConfig) -> None:
    """Run the epochs, from the last checkpoint if there is one."""
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    trainer = make_trainer(cfg, module.schedule.epochs)
    on_cpu = trainer.strategy.root_device.type == "cpu"
    checkpoint = Path(cfg.output) / "checkpoints" / "last.ckpt"
    resume = str(checkpoint) if checkpoint.is_file() else None
    if resume:
        LOG.info("going on from %s", checkpoint)
    with warnings.catch_warnings(), one_thread_each() if on_cpu else single_precision():
        warnings.filterwarnings("ignore", message=".*configure_optimizers.*None.*")
        warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
        warnings.filterwarnings("ignore", message=".*It is recommended to use .self.log.*")
        with contextlib.closing(data):
            trainer.fit(module, datamodule=data, ckpt_path=resume)
