"""Refine poses and deformations of tilt series together."""

from pathlib import Path

from omegaconf import DictConfig

from mlit.cli.closing import close_run
from mlit.cli.more_species import with_more_species
from mlit.cli.report import report_run
from mlit.project.history import complete_interrupted, has_commits, record_run
from mlit.report.board import board_final_maps
from mlit.report.figures import write_figures
from mlit.report.html_report import REPORT
from mlit.training import run as training
from mlit.training.population_data import with_species, write_for_m
from mlit.training.species_configs import species_configs


def run(cfg: DictConfig) -> None:
    """Refine poses and deformations of tilt series together, and say what came out and what to do next.

    Parameters
    ----------
    cfg
        The composed ``conf/refine.yaml`` or ``conf/reconstruct.yaml``.
    """
    if refine(cfg):
        close_run(Path(cfg.output))


def refine(cfg: DictConfig) -> bool:
    """Refine, draw the figures of the run and write its report; returns whether anything was done."""
    cfg = with_more_species(with_species(cfg))
    complete_interrupted(Path(cfg.output))
    done = training.refine(cfg)
    if done or not (Path(cfg.output) / "figures").is_dir():
        draw_figures(cfg)
    if done:
        write_for_m(cfg)
    if done or not (Path(cfg.output) / REPORT).is_file():
        report_run(Path(cfg.output))
    if done:
        board_final_maps(Path(cfg.output))
    if cfg.history.record and (done or not has_commits(Path(cfg.output))):
        record_run(Path(cfg.output))
    return done


def draw_figures(cfg: DictConfig) -> None:
    """Draw the figures of every species, those after the first in subfolders."""
    output = Path(cfg.output)
    for number, one in enumerate(species_configs(cfg)):
        folder = output / "figures"
        write_figures(output, one.species.name, folder / one.species.name if number else folder)
