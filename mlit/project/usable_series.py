"""Series and particles put together: what can be used, and why the rest cannot."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mlit.errors import InputError
from mlit.io.particle_table import ParticleTable
from mlit.project.particle_places import check_inside
from mlit.project.project import SeriesInput
from mlit.project.selection import shown


def usable_series(
    path: Path,
    particle_path: Path,
    selected: Sequence[str],
    table: ParticleTable,
    load: Callable[[str, np.ndarray], SeriesInput],
    failures: Mapping[str, str],
    particle_diameter_angstrom: float | None = None,
) -> tuple[tuple[SeriesInput, ...], dict[str, str]]:
    """Load the selected series that have particles.

    Parameters
    ----------
    path, particle_path : Path
        The file that lists the series, and that of the particles, for messages.
    selected : sequence of str
        Names of the series to use.
    table : ParticleTable
        The particles, with series called so.
    load : callable
        Returns a series, given its name and the rows of its particles; a fault of the series is an `InputError`.
    failures : mapping of str to str
        Series that cannot be used so far, and why.
    particle_diameter_angstrom : float, optional
        See `check_inside`.

    Returns
    -------
    series : tuple of SeriesInput
        Those that can be used; never empty.
    failures : dict of str to str
        Why others cannot, by name.

    Raises
    ------
    InputError
        If no series is left, or one half set is empty.
    """
    failed = dict(failures)
    loaded: list[SeriesInput] = []
    for name in selected:
        index = np.flatnonzero(table.series_name == name)
        try:
            if not index.size:
                raise InputError("has no particles")
            series = load(name, index)
            size = series.geometry.volume_size_angstrom.tolist()
            check_inside(table, index, size, particle_diameter_angstrom, particle_path)
            loaded.append(series)
        except InputError as error:
            failed[name] = str(error)
    if not loaded:
        raise InputError(_nothing_left(path, failed))
    _check_halves(table, loaded, particle_path)
    return tuple(loaded), dict(sorted(failed.items()))


def strangers(table: ParticleTable, names: Sequence[str]) -> dict[str, str]:
    """Return the series that particles name and the project lacks, each with the reason that it cannot be used."""
    found, counts = np.unique(table.series_name.astype(str), return_counts=True)
    known = set(names)
    return {
        str(name): f"{count} particles name this series, but the project has none of that name"
        for name, count in zip(found, counts, strict=True)
        if name not in known
    }


def _check_halves(table: ParticleTable, loaded: Sequence[SeriesInput], path: Path) -> None:
    halves = np.concatenate([table.half_set[series.particle_index.numpy()] for series in loaded])
    for half in (1, 2):
        if not (halves == half).any():
            names = shown([series.name for series in loaded])
            raise InputError(
                f"{path}: no particle of {names} is in half set {half}; "
                "use more series, or remove the half-set column to have halves assigned"
            )


def _nothing_left(path: Path, failures: Mapping[str, str]) -> str:
    reasons = [f"{name}: {reason}" for name, reason in failures.items()]
    return f"{path}: no series can be used; {'; '.join(reasons[:3])}" + (
        f"; and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    )
