"""Refine poses and deformations of tilt series together."""

from pathlib import Path

from omegaconf import DictConfig

from mlit.project.history import complete_interrupted, has_commits, record_run
from mlit.report.figures import write_figures
from mlit.training import run as training
from mlit.training.population_data import with_species, write_for_m


def run(cfg: DictConfig) -> None:
    """Refine poses and deformations of tilt series together, and draw the figures of the run.

    Parameters
    ----------
    cfg
        The composed ``conf/refine.yaml`` or ``conf/reconstruct.yaml``.
    """
    cfg = with_species(cfg)
    complete_interrupted(Path(cfg.output))
    done = training.refine(cfg)
    if done or not (Path(cfg.output) / "figures").is_dir():
        write_figures(Path(cfg.output), cfg.species.name)
    if done:
        write_for_m(cfg)
    if cfg.history.record and (done or not has_commits(Path(cfg.output))):
        record_run(Path(cfg.output))
