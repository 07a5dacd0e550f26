"""Say what to do after a run."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.markup import escape

from mlit.cli.next_command import next_command, together
from mlit.project.recommend import advise, with_more_particles
from mlit.project.recommend_advice import Advice
from mlit.project.recommend_figures import RunFigures
from mlit.project.recommend_read import chosen_by, read_run, read_settings, run_before
from mlit.project.recommend_steps import judge_step

_WIDTH_WITHOUT_TERMINAL = 120  # characters


def run(cfg: DictConfig) -> None:
    """Print how a run went, what to do next, why, and the command for it.

    Parameters
    ----------
    cfg
        The composed ``conf/recommend.yaml``.

    Raises
    ------
    InputError
        If the folder holds no finished run.
    """
    folder = Path(cfg.output)
    settings, figures = read_settings(folder), read_run(folder)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL, highlight=False)
    for line in _state(figures):
        console.print(escape(line), soft_wrap=True)
    before = run_before(settings)
    if before is not None:
        verdict = judge_step(read_run(before), figures)
        mark = {True: "better", False: "worse: go back to it", None: "no verdict"}[verdict.better]
        console.print(escape(f"against {before}: {verdict.text}: {mark}"), soft_wrap=True)
    _print_advice(console, folder, settings, advise(figures))


def _state(run: RunFigures) -> list[str]:
    """Say what the advice follows from."""
    density = run.particles_per_um3
    lines = [
        f"{len(run.series)} series, {run.particles} particles: {run.particles_per_series:g} in the median series"
        + (f", {density:.0f} in a µm³" if math.isfinite(density) else ""),
        f"resolution {run.resolutions_angstrom[0]:.2f} → {run.resolution_angstrom:.2f} Å",
    ]
    if run.fitted_to_angstrom is not None:
        error = run.expected_error
        lines[1] += (
            f"; held-out score {run.held_out:.3f} at {run.fitted_to_angstrom:.2f} Å; "
            f"expected error {error.position_angstrom:.2f} Å, {error.rotation_deg:.2f}°"
        )
    twice = with_more_particles(run, 2)
    if twice > run.finest_angstrom:
        lines.append(f"twice the particles would give about {twice:.1f} Å")
    return lines


def _print_advice(console: Console, folder: Path, settings: dict[str, Any], found: Sequence[Advice]) -> None:
    """Print each piece with its reason and its command, and the one that tries all changes of the model."""
    chosen = chosen_by(folder)
    for number, advice in enumerate(found, 1):
        console.print(f"\n[bold]{number}. {escape(advice.what)}[/bold]: {escape(advice.why)}.", soft_wrap=True)
        _print_command(console, next_command(folder, settings, advice, chosen))
    trials = together(found)
    if trials is not None:
        console.print(f"\n[bold]{escape(trials.what)}[/bold]:", soft_wrap=True)
        _print_command(console, next_command(folder, settings, trials, chosen))
    if any(advice.change for advice in found):
        console.print(
            "\nA trial fits the series with and without the change, and keeps it where images that the fit has not "
            "seen are predicted better by twice the error of that gain; a block whose absence costs nothing goes.",
            soft_wrap=True,
        )


def _print_command(console: Console, command: str) -> None:
    if command:
        console.print(f"   {escape(command)}", soft_wrap=True)
