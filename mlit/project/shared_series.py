"""Tilt series that several species share."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from mlit.project.project import Project, SeriesInput


def with_shared_series(projects: Sequence[Project]) -> list[Project]:
    """Give the projects of several species the same series: all that one of them can use.

    Where a series shows no particle of a species, the project of that species has it with no rows.

    Parameters
    ----------
    projects
        The same series, read with the particles of one species each.
    """
    known: dict[str, SeriesInput] = {}
    failures: dict[str, str] = {}
    for project in projects:
        known = {series.name: series for series in project.series} | known
        failures = dict(project.failures) | failures
    nothing = torch.zeros(0, dtype=torch.long)
    shared = []
    for project in projects:
        own = {series.name: series for series in project.series}
        series = [own.get(name) or replace(known[name], particle_index=nothing) for name in sorted(known)]
        left = {name: reason for name, reason in failures.items() if name not in known}
        shared.append(replace(project, series=tuple(series), failures=left))
    return shared
