"""Check a project on its images before it is refined."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from mlit.cli.inspect import new_console, print_findings, print_project
from mlit.errors import InputError
from mlit.maps.references import ReferenceSettings
from mlit.project.checks import check_project
from mlit.project.checks_depth import depth_findings
from mlit.project.checks_maps import check_maps
from mlit.project.findings import Finding, Severity, by_severity, write_findings
from mlit.project.overlay import write_overlay
from mlit.project.project import Project
from mlit.training.assembly import make_species
from mlit.training.depth_hands import compare_hands
from mlit.training.plan import plan_lines
from mlit.training.population_data import load_project, with_species

LOG = logging.getLogger("mlit")
FINDINGS = "findings.csv"


def run(cfg: DictConfig) -> None:
    """Print and write what is wrong with a project, draw its particles, and say what a refinement would do.

    Parameters
    ----------
    cfg
        The composed ``conf/check.yaml``.

    Raises
    ------
    InputError
        If no series can be used, or a value makes no sense.
    """
    cfg = with_species(cfg)
    output, diameter = Path(cfg.output), cfg.species.diameter
    if cfg.check.particles < 2:
        raise InputError(f"check.particles={cfg.check.particles}: must be at least 2, one of each half set")
    make_species(cfg)  # what is wrong with it shall be said before files are read
    project = load_project(cfg)
    console = new_console()
    print_project(console, project)
    maps = [*(cfg.species.half_maps or project.half_maps or ()), cfg.species.mask or project.mask]
    findings = check_project(project, diameter) + check_maps([path for path in maps if path], project, diameter)
    if cfg.check.overlay:
        findings += draw(output / "overlay", project, diameter)
    if cfg.check.depth:
        findings += judge_depth(project, cfg)
    plan: list[str] = []
    try:
        plan = plan_lines(project, cfg)
    except InputError as error:
        findings.append(Finding(Severity.ERROR, "", "refine", str(error), "mend this before you refine"))
    findings = by_severity(findings)
    print_findings(console, [finding for finding in findings if finding.series not in project.failures])
    write_findings(output / FINDINGS, findings)
    console.print("refine would take", *(f"  {line}" for line in plan), sep="\n", markup=False, soft_wrap=True)
    LOG.info("results: %s", output)


def draw(folder: Path, project: Project, diameter_angstrom: float) -> list[Finding]:
    """Draw the particles of all series; returns those whose images cannot be read."""
    findings = []
    for series in project.series:
        try:
            write_overlay(folder / f"{series.name}.png", series, project, diameter_angstrom)
        except InputError as error:
            findings.append(Finding(Severity.ERROR, series.name, "images", str(error), "refine would leave it out"))
    return findings


def judge_depth(project: Project, cfg: DictConfig) -> list[Finding]:
    """Find out which sign depth has, and word it."""
    references = ReferenceSettings(cfg.species.diameter, tight_box=cfg.references.tight_box)
    try:
        test = compare_hands(project, make_species(cfg), references, cfg.check.particles, cfg.seed)
    except InputError as error:
        return [Finding(Severity.WARNING, "", "depth", f"cannot be judged ({error})", "see the other findings")]
    stated = {series.name: series.geometry.depth_inverted for series in project.series}
    return depth_findings(test.series, test.together, stated, test.resolution_angstrom)
