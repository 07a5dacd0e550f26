"""Simulate a small project, refine it and compare the result with the truth."""

import sys
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from mlit.cli import refine
from mlit.cli.demo_steps import comparison_table, simulate_once, with_true_metadata
from mlit.report.html_report import REPORT

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
    refine.run(cfg)
    refine.refine(with_true_metadata(cfg, project, output / "true_metadata"))
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL, highlight=False)
    console.print(comparison_table(project, output, cfg.species.name))
    console.print(f"results: {output}", soft_wrap=True)
    console.print(f"report: {output / REPORT}", soft_wrap=True)
