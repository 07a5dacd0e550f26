"""Say what a project holds and what is wrong with it."""

import sys
from collections.abc import Sequence

from omegaconf import DictConfig
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mlit.cli.project_summary import SeriesSummary, summarise
from mlit.maps.references import ReferenceSettings
from mlit.project.checks import check_project
from mlit.project.findings import Finding, Severity
from mlit.project.project import Project
from mlit.training.memory import RunSize, estimate_memory
from mlit.training.memory_plan import plan_memory
from mlit.training.population_data import load_project, with_species
from mlit.training.series_setup import assign_groups, map_box

_WIDTH_WITHOUT_TERMINAL = 170  # characters, so that no column is cut in a log
_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def run(cfg: DictConfig) -> None:
    """Print every series with its figures, the series set aside with reasons, findings, and the memory needed.

    Parameters
    ----------
    cfg
        The composed ``conf/inspect.yaml``.

    Raises
    ------
    InputError
        If no series can be used.
    """
    cfg = with_species(cfg)
    diameter = cfg.species.diameter
    project = load_project(cfg)
    console = new_console()
    print_project(console, project)
    print_findings(console, [one for one in check_project(project, diameter) if one.series not in project.failures])
    console.print(_memory_line(project, diameter), soft_wrap=True)


def new_console() -> Console:
    """Where pages go: a terminal, or a file with room for every column."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL, highlight=False)


def print_project(console: Console, project: Project) -> None:
    """Print every series with its figures, those that are set aside, and the sum."""
    summaries = summarise(project)
    console.print(_series_table(summaries))
    for name, reason in project.failures.items():
        console.print(f"[red]set aside[/red] {escape(name)}: {escape(reason)}", soft_wrap=True)
    console.print(_total_line(summaries, len(project.failures)))


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Print one line for each finding."""
    for finding in findings:
        colour = _COLOURS[finding.severity]
        console.print(f"[{colour}]{finding.severity.value}[/{colour}] {escape(str(finding))}", soft_wrap=True)


def _series_table(summaries: list[SeriesSummary]) -> Table:
    """Lay out one row a series."""
    table = Table(title="tilt series")
    for heading in ("series", "particles", "half 1 / 2", "tilts used", "angles °", "dose e/Å²", "defocus µm"):
        table.add_column(heading, justify="left" if heading == "series" else "right")
    for heading in ("image px", "pixel Å", "depth"):
        table.add_column(heading, justify="right")
    for s in summaries:
        table.add_row(
            s.name,
            str(s.particles),
            f"{s.half_counts[0]} / {s.half_counts[1]}",
            f"{s.tilts_used} / {s.tilts}",
            f"{s.angle_range_deg[0]:.1f} … {s.angle_range_deg[1]:.1f}",
            f"{s.dose_range[0]:.1f} … {s.dose_range[1]:.1f}",
            f"{s.defocus_range_um[0]:.2f} … {s.defocus_range_um[1]:.2f}",
            f"{s.image_size_px[0]} × {s.image_size_px[1]}",
            f"{s.pixel_size_angstrom:.3f}",
            "inverted" if s.depth_inverted else "as is",
        )
    return table


def _total_line(summaries: list[SeriesSummary], failures: int) -> str:
    """Sum up the project in one line."""
    particles = sum(s.particles for s in summaries)
    halves = [sum(s.half_counts[i] for s in summaries) for i in (0, 1)]
    return (
        f"{len(summaries)} series can be used, {failures} set aside; "
        f"{particles} particles, {halves[0]} in half 1 and {halves[1]} in half 2"
    )


def _memory_line(project: Project, diameter_angstrom: float | None) -> str:
    """Say what a refinement takes in memory."""
    if diameter_angstrom is None:
        return "species.diameter=… adds an estimate of the memory"
    pixel = project.pixel_size_angstrom
    _, folds = assign_groups(project, 0)
    references = ReferenceSettings(diameter_angstrom)
    box, tight = map_box(references, pixel), references.tight_angstrom
    size = RunSize.of(project, box, 2 * folds, pixel, tight, fits=True, network=True)
    return f"memory of a refinement with maps of {size.box} px: {estimate_memory(size, plan_memory([size], None))}"
