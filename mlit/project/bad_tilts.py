"""Tilts that a table of the user switches off, with the reason.

The table has the columns series, tilt and reason. A tilt is the name of its image or movie, or its number in the order
of the metadata, from 1. Angles are refused: they change with every alignment. The list of suspects of a run is such a
table as it is; of its rows, those of tilts count.
"""

import csv
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from mlit.errors import InputError
from mlit.io.reading import LARGEST_TABLE, read_text
from mlit.io.series_names import series_key
from mlit.io.star import read_star
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.project import SeriesInput
from mlit.project.selection import shown
from mlit.project.suspects import SHADED_TILT, WEAK_TILT

LOG = logging.getLogger("mlit")
_KIND = "table of bad tilts"
_COLUMNS = {"series", "tilt", "reason"}
_SUSPECTS = {"series", "kind", "number"}


@dataclass(frozen=True)
class BadTilt:
    """One row of the table.

    Attributes
    ----------
    where
        File and row, for messages.
    series
        Bare name of the series.
    tilt
        Number or name of the tilt, as written.
    reason
        Why it is bad.
    """

    where: str
    series: str
    tilt: str
    reason: str

    def find(self, movies: Sequence[str]) -> int:
        """Place of the tilt among the images of its series, from 0.

        Raises
        ------
        InputError
            If nothing or more than one image fits.
        """
        named = [i for i, movie in enumerate(movies) if self.tilt in _names(movie)]
        if self.tilt.isdecimal():
            number = int(self.tilt)
            if [i for i in named if i != number - 1]:
                raise InputError(
                    f"{self.where}: tilt {self.tilt} is the name of one image and the number of another; "
                    "write the name with its extension"
                )
            if not 1 <= number <= len(movies):
                raise InputError(f"{self.where}: {self.series} has tilts 1 to {len(movies)}, not {self.tilt}")
            return number - 1
        if len(named) != 1:
            fits = f"fits {len(named)} images" if named else f"is no image of {self.series}"
            raise InputError(
                f"{self.where}: tilt '{self.tilt}' {fits}; give the file name of its image or movie, or its number "
                f"from 1 to {len(movies)}, not its angle"
            )
        return named[0]


@dataclass(frozen=True)
class BadTilts:
    """All rows of a table.

    Attributes
    ----------
    path
        The file; None where there is no table.
    rows
        Its rows.
    """

    path: Path | None = None
    rows: tuple[BadTilt, ...] = ()

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Files that it was read from."""
        return () if self.path is None else (self.path,)

    def check_series(self, names: Iterable[str]) -> None:
        """Raise `InputError` if a row names none of the series of a project, selected or not."""
        listed = sorted(names)
        known = {series_key(name) for name in listed}
        for row in self.rows:
            if row.series not in known:
                raise InputError(f"{row.where}: series '{row.series}' is none of {shown(listed)}; correct the name")

    def off_in(self, name: str, movies: Sequence[str]) -> dict[int, str]:
        """Tilts of a series to switch off, from 0, and why.

        Raises
        ------
        InputError
            If a row fits no tilt or several.
        """
        return {row.find(movies): row.reason for row in self.rows if row.series == series_key(name)}

    def applied(self, name: str, xml: TiltSeriesXml) -> TiltSeriesXml:
        """Metadata of a series in which these tilts are not used; errors as in `off_in`."""
        off = self.off_in(name, xml.movie_paths) if self.rows else {}
        if not off:
            return xml
        use = xml.use_tilt & ~np.isin(np.arange(xml.tilts), list(off))
        listed = ", ".join(
            f"{tilt + 1} ({reason})" if reason else f"{tilt + 1}" for tilt, reason in sorted(off.items())
        )
        LOG.info("%s: tilts switched off by %s: %s", name, self.path, listed)
        return xml.with_lists({"UseTilt": [bool(value) for value in use]})


def read_bad_tilts(path: Path | str | None) -> BadTilts:
    """Read a table, STAR where the file is called so, else CSV (comma, semicolon or tab); None: no tilts are bad.

    Raises
    ------
    InputError
        If the file is absent or damaged, or lacks a column or a value.
    """
    if path is None:
        return BadTilts()
    path = Path(path)
    records = _star_records(path) if path.suffix.lower() == ".star" else _csv_records(path)
    return BadTilts(path, tuple(_row(path, number, record) for number, record in records if _is_tilt(record)))


def without_bad_tilts(
    series: Sequence[SeriesInput], failures: Mapping[str, str], bad: BadTilts
) -> tuple[tuple[SeriesInput, ...], dict[str, str]]:
    """Switch tilts of series that are read already off; a series without any tilt left has failed.

    Raises
    ------
    InputError
        If a row fits no tilt, or no series is left.
    """
    xmls = {one.name: bad.applied(one.name, one.xml) for one in series}
    use = {name: torch.from_numpy(xml.use_tilt) for name, xml in xmls.items()}
    left = tuple(replace(one, xml=xmls[one.name], use_tilt=use[one.name]) for one in series if use[one.name].any())
    if not left:
        raise InputError(f"{bad.path}: leaves no tilt of any series; switch fewer off")
    gone = {one.name: f"{bad.path} switches all tilts off" for one in series if not use[one.name].any()}
    return left, {**failures, **gone}


def _is_tilt(record: dict[str, str]) -> bool:
    """Whether a row is about a tilt: all are, but for false picks in a list of suspects."""
    return "kind" not in record or record["kind"] in (SHADED_TILT, WEAK_TILT)


def _row(path: Path, number: int, record: dict[str, str]) -> BadTilt:
    tilt, reason = ("number", "kind") if "kind" in record else ("tilt", "reason")
    where = f"{path}: row {number}"
    for column in ("series", tilt):
        if not record[column].strip():
            raise InputError(f"{where}: has no {column}; fill it in or remove the row")
    return BadTilt(where, series_key(record["series"]), record[tilt].strip(), record[reason].strip())


def _star_records(path: Path) -> list[tuple[int, dict[str, str]]]:
    tables = list(read_star(path, _KIND).values())
    if len(tables) != 1:
        raise InputError(f"{path}: holds {len(tables)} tables; one with series, tilt and reason is expected")
    _check_columns(path, set(tables[0].columns))
    rows = tables[0].to_dict("records")
    return [(number, {str(k): str(v) for k, v in row.items()}) for number, row in enumerate(rows, start=1)]


def _csv_records(path: Path) -> list[tuple[int, dict[str, str]]]:
    lines = read_text(path, _KIND, LARGEST_TABLE).splitlines()
    head = lines[0] if lines else ""
    reader = csv.DictReader(lines, delimiter=max(",;\t", key=head.count), restkey="", restval="", strict=True)
    try:
        _check_columns(path, {name.strip() for name in reader.fieldnames or ()})
        rows = [{str(k).strip(): v for k, v in row.items() if isinstance(v, str)} for row in reader]
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: {error}; correct it") from error
    return list(enumerate(rows, start=1))


def _check_columns(path: Path, columns: set[str]) -> None:
    if not (columns >= _COLUMNS or columns >= _SUSPECTS):
        missing = ", ".join(sorted(_COLUMNS - columns))
        raise InputError(f"{path}: has no column {missing}; a {_KIND} has series, tilt and reason")


def _names(movie: str) -> set[str]:
    """Return what an image may be called: its file with or without folder and extension; in a stack its section too."""
    section, _, file = movie.rpartition("@")
    name = PurePosixPath(file).name
    if section:
        return {movie, f"{section}@{name}"}
    return {movie, name, PurePosixPath(name).stem, f"{PurePosixPath(name).stem}.mrc"}
