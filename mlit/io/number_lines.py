"""Text files of numbers, as IMOD and AreTomo write them."""

from pathlib import Path

import numpy as np

from mlit.errors import InputError
from mlit.io.atomic import atomic_write
from mlit.io.numbers import parse_number
from mlit.io.reading import read_text

_MOST_VALUES = 2_000_000


def read_rows(path: Path, kind: str, columns: int) -> np.ndarray:
    """Return the numbers of a file, float64 "row column"; empty lines are left out.

    Raises
    ------
    InputError
        If the file is absent or too large, a line has another number of values, or a value is no finite number.
    """
    rows: list[list[float]] = []
    for number, line in enumerate(read_text(path, kind).splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        where = f"{path}: line {number}"
        if len(words) != columns:
            raise InputError(f"{where} has {len(words)} values, {columns} are expected; is it a {kind}?")
        if len(rows) * columns >= _MOST_VALUES:
            raise InputError(f"{where}: more lines than a {kind} can have; is it the right file?")
        rows.append([parse_number(word, where) for word in words])
    if not rows:
        raise InputError(f"{path}: holds no numbers; is it a {kind}?")
    return np.array(rows)


def write_lines(path: Path, lines: list[str]) -> None:
    """Write lines of text, complete or not at all."""
    with atomic_write(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def fixed(value: float, width: int, decimals: int) -> str:
    """Return a number in a column of IMOD's width, wider and with more decimals where it would lose digits."""
    text = f"{value:{width}.{decimals}f}"
    return text if float(text) == value else f" {value!r:>{width - 1}}"
