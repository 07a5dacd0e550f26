"""Which series of a project to use."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from mlit.errors import InputError
from mlit.io.series_names import series_key
from mlit.io.warp.settings import WarpSettings


def series_names(settings: WarpSettings) -> tuple[str, ...]:
    """Return all series that have a `.tomostar` or an XML file, sorted.

    Raises
    ------
    InputError
        If there are none.
    """
    tomostars = [path.name.removesuffix(".tomostar") for path in settings.data_folder.glob("*.tomostar")]
    xmls = [path.name.removesuffix(".xml") for path in settings.processing_folder.glob("*.xml")]
    names = sorted({name for name in [*tomostars, *xmls] if not name.startswith(".")})
    if not names:
        raise InputError(
            f"{settings.path}: no tilt series: neither .tomostar files in {settings.data_folder} "
            f"nor XML files in {settings.processing_folder}; check DataFolder and ProcessingFolder"
        )
    return tuple(names)


def select_series(
    names: Sequence[str], patterns: str | Sequence[str] = "*", exclude: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the names that fit a pattern and are not excluded.

    Parameters
    ----------
    names : sequence of str
        All series.
    patterns : str or sequence of str
        Shell patterns; a name that fits one of them is taken.
    exclude : sequence of str
        Names or shell patterns of series to leave out, with or without extension.

    Raises
    ------
    InputError
        If a pattern fits no series, which is nearly always a mistake in writing, or none is left.
    """
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    unwanted = [exclude] if isinstance(exclude, str) else list(exclude)
    for pattern in [*wanted, *unwanted]:
        if not any(_fits(name, pattern) for name in names):
            raise InputError(f"series '{pattern}': fits none of {shown(names)}; correct the name or pattern")
    selected = tuple(
        name for name in names if any(_fits(name, p) for p in wanted) and not any(_fits(name, p) for p in unwanted)
    )
    if not selected:
        raise InputError(f"exclude: leaves no series of {shown(names)}; exclude fewer")
    return selected


def shown(names: Sequence[str], most: int = 5) -> str:
    """Return names for a message, the first few and how many more."""
    listed = ", ".join(list(names)[:most])
    return f"{listed} and {len(names) - most} more" if len(names) > most else listed


def _fits(name: str, pattern: str) -> bool:
    plain = series_key(pattern)
    return name in (pattern, plain) or fnmatchcase(name, pattern) or fnmatchcase(name, plain)
