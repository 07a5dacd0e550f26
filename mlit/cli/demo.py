"""Simulate a small project, refine it and compare the result with the truth."""

import shutil
import sys
from pathlib import Path

from lightning.pytorch.utilities.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from mlit.cli import simulate
from mlit.errors import InputError
from mlit.simulation.truth import compare_to_truth
from mlit.training import run as training

_WIDTH_WITHOUT_TERMINAL = 100


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
    _simulate_once(cfg.simulation, project)
    training.refine(cfg)
    _print_comparison(project, output, output / cfg.species.name / "particles.star")


def _simulate_once(simulation: DictConfig, project: Path) -> None:
    """Simulate the project; it appears only when it is complete, and is kept by later calls."""
    record = project / "simulation.yaml"
    wanted = OmegaConf.to_yaml(simulation, resolve=True)
    if project.exists():
        if not record.is_file() or record.read_text(encoding="utf-8") != wanted:
            raise InputError(f"{project} was simulated from other values; give another output=…")
        return
    unfinished = project.with_name("project.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    simulate.run(OmegaConf.create({"output": str(unfinished), "simulation": simulation}))
    (unfinished / record.name).write_text(wanted, encoding="utf-8")
    unfinished.rename(project)


@rank_zero_only
def _print_comparison(project: Path, output: Path, particles: Path) -> None:
    """Print how far start and result are from the truth."""
    start = compare_to_truth(project, project / "warp_tiltseries", project / "particles.star")
    refined = compare_to_truth(project, output / "warp_tiltseries", particles)
    table = Table(title="distance from the truth (rms)")
    for heading in ("", "start", "refined", "truth"):
        table.add_column(heading, justify="right" if heading else "left")
    for label, name, digits in (
        ("particle positions in the tilts, Å", "position_rms_angstrom", 2),
        ("particle orientations, °", "orientation_rms_deg", 2),
        ("defocus, nm", "defocus_rms_nm", 1),
    ):
        table.add_row(label, *(f"{getattr(state, name):.{digits}f}" for state in (start, refined)), "0")
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL)
    console.print(table)
    console.print(f"results: {output}", highlight=False)
