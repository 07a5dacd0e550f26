"""Simulate a small project, refine it and compare the result with the truth."""

import sys
from pathlib import Path

from lightning.fabric.utilities.rank_zero import rank_zero_only
from omegaconf import DictConfig
from rich.console import Console

from mlit.cli.demo_steps import comparison_table, simulate_once
from mlit.training import run as training

_WIDTH_WITHOUT_TERMINAL = 100  # characters


def run(cfg: DictConfig) -> None:
    """Simulate into ``OUTPUT/project`` unless that is there, refine into ``OUTPUT`` and print a comparison.

    Parameters
    ----------
    cfg
        The composed ``conf/demo.yaml``.

    Raises
    ------
    InputError
        If ``OUTPUT`` holds a demo of another simulation.
    """
    output = Path(cfg.output)
    project = output / "project"
    simulate_once(cfg.simulation, project)
    training.refine(cfg)
    _report(project, output, output / cfg.species.name / "particles.star")


@rank_zero_only
def _report(project: Path, output: Path, particles: Path) -> None:
    """Print the comparison, once where several processes refine together."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL, highlight=False)
    console.print(comparison_table(project, output / "warp_tiltseries", particles))
    console.print(f"results: {output}", soft_wrap=True)
