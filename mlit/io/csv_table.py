"""Tables as CSV files."""

import csv
from collections.abc import Iterable
from pathlib import Path

from mlit.io.atomic import atomic_write


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a line with the names of the columns, and one for each row; the file appears complete or not at all."""
    with atomic_write(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
