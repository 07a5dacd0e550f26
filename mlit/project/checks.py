"""All checks of a project that need metadata and image headers only."""

from mlit.project.checks_particles import check_particles
from mlit.project.checks_series import check_series
from mlit.project.findings import Finding, Severity, by_severity
from mlit.project.project import Project

_AXES_DEG = 20.0  # by which the tilt axis of series of one session hardly differs


def check_project(project: Project, diameter_angstrom: float | None = None) -> list[Finding]:
    """Look for what is wrong with a project, errors first.

    Parameters
    ----------
    project
        What was read.
    diameter_angstrom
        Of the molecule; without it fewer checks are made.
    """
    findings = [
        Finding(Severity.ERROR, name, "set aside", reason.rstrip("."), "it is left out of everything until mended")
        for name, reason in project.failures.items()
    ]
    for series in project.series:
        findings += check_series(series)
    findings += _unlike_series(project)
    findings += check_particles(project, diameter_angstrom)
    return by_severity(findings)


def _unlike_series(project: Project) -> list[Finding]:
    """Find series that differ from the others in what one session has in common."""
    findings = []
    signs = {series.name: series.geometry.depth_inverted for series in project.series}
    if len(set(signs.values())) > 1:
        fewer = sorted((name for name, sign in signs.items() if sign == _rarer(list(signs.values()))))
        findings.append(
            Finding(
                Severity.WARNING,
                "",
                "depth",
                f"the sign of depth differs: {', '.join(fewer[:5])}{' …' if len(fewer) > 5 else ''} against the rest",
                "series of one microscope have one; see what mlit check says of it",
            )
        )
    axes = {series.name: float(series.geometry.axis_angle_rad.rad2deg().median()) for series in project.series}
    usual = sorted(axes.values())[len(axes) // 2]
    for name, axis in axes.items():
        if abs((axis - usual + 90) % 180 - 90) > _AXES_DEG:
            findings.append(
                Finding(
                    Severity.WARNING,
                    name,
                    "tilt axis",
                    f"lies at {axis:.1f}°, but at {usual:.1f}° in the median series",
                    "align it again if both are of one microscope",
                )
            )
    return findings


def _rarer(signs: list[bool]) -> bool:
    return sum(signs) <= len(signs) / 2
