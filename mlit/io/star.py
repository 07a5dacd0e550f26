"""STAR files as tables of text.

Values stay as they are written: a series that is called `001` stays `001`, and columns that mlit does not
know survive. `column_numbers` turns a column into numbers and names the row that is none.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from mlit.errors import InputError
from mlit.io.atomic import atomic_write
from mlit.io.numbers import LARGEST
from mlit.io.reading import LARGEST_TABLE, read_text

_TOKEN = re.compile(r"\"([^\"]*)\"(?=\s|$)|'([^']*)'(?=\s|$)|(\S+)")
_MOST_BLOCKS, _MOST_COLUMNS = 5000, 5000
_PLAIN = re.compile(r"[^\s#_\"'][^\s]*")


def read_star(path: Path | str, kind: str = "STAR file") -> dict[str, pd.DataFrame]:
    """Read every block of a STAR file.

    Parameters
    ----------
    path : Path or str
        File to read.
    kind : str
        What the file is for a person; used in messages.

    Returns
    -------
    dict of str to DataFrame
        By block name without `data_`. All values are text. A block that is a list of pairs becomes a table
        of one row with `attrs["star_list"]` True, and is written back as a list.

    Raises
    ------
    InputError
        If the file is absent, no text, without a table, or has a row with too few or too many values.
    """
    path = Path(path)
    blocks: dict[str, _Block] = {}
    current: _Block | None = None
    for number, line in enumerate(read_text(path, kind, LARGEST_TABLE).splitlines(), start=1):
        tokens = _tokens(line)
        if not tokens:
            continue
        if tokens[0].startswith("data_") and len(tokens) == 1:
            current = _Block(path, tokens[0][len("data_") :])
            if current.name in blocks:
                raise InputError(f"{path}: line {number}: data_{current.name[:80]} is there twice; rename one")
            if len(blocks) >= _MOST_BLOCKS:
                raise InputError(f"{path}: line {number}: more than {_MOST_BLOCKS} tables; is it a {kind}?")
            blocks[current.name] = current
        elif current is None:
            raise InputError(f"{path}: line {number}: text before the first data_ block; is it a {kind}?")
        else:
            current.add(tokens, number)
    if not blocks:
        raise InputError(f"{path}: holds no table; is it a {kind}?")
    return {name: block.table() for name, block in blocks.items()}


def write_star(path: Path | str, blocks: Mapping[str, pd.DataFrame], decimals: int = 6) -> None:
    """Write blocks in the order given; text as it is, floats with `decimals` digits after the point.

    Raises
    ------
    InputError
        If the place cannot be written to.
    ValueError
        If a float is not finite or a text holds both kinds of quotes and white space.
    """
    lines = ["# version 50001", ""]
    for name, table in blocks.items():
        lines += [f"data_{name}", ""]
        written = _list_lines if table.attrs.get("star_list") else _loop_lines
        lines += written(table, decimals)
        lines.append("")
    with atomic_write(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def column_numbers(table: pd.DataFrame, column: str, where: str) -> np.ndarray:
    """Return a column as float64.

    Parameters
    ----------
    table : DataFrame
        A block of `read_star`.
    column : str
        Its name.
    where : str
        The file, the beginning of the error message. Rows are counted from 1.

    Raises
    ------
    InputError
        If the column is absent or a value is not a finite number.
    """
    if column not in table.columns:
        raise InputError(f"{where}: has no column {column}; add it")
    texts = pd.Series(table[column], dtype=object)
    values = np.asarray(pd.to_numeric(texts, errors="coerce"), dtype=np.float64)
    wrong = np.flatnonzero(~(np.abs(values) <= LARGEST))
    if wrong.size:
        row = int(wrong[0])
        raise InputError(
            f"{where}: row {row + 1}: {column} is '{table[column].iloc[row]}', which is not a usable number; "
            "correct or remove the row"
        )
    return values


class _Block:
    """One block while it is being read."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self.columns: dict[str, None] = {}  # in order, and quick to look up
        self.pairs: list[str] = []
        self.rows: list[list[str]] = []
        self.is_loop = False

    def add(self, tokens: list[str], number: int) -> None:
        first = tokens[0]
        if first == "loop_" and len(tokens) == 1:
            if self.columns:
                raise InputError(f"{self.path}: line {number}: data_{self.name} holds two tables; split it")
            self.is_loop = True
        elif first.startswith("_") and not self.rows and (self.is_loop or len(tokens) == 2):
            self._add_column(tokens, number)
        else:
            self._add_row(tokens, number)

    def _add_column(self, tokens: list[str], number: int) -> None:
        name = tokens[0][1:]
        if name in self.columns:
            raise InputError(f"{self.path}: line {number}: column {name[:80]} is there twice; remove one")
        if len(self.columns) >= _MOST_COLUMNS:
            raise InputError(f"{self.path}: line {number}: more than {_MOST_COLUMNS} columns; is it a table?")
        self.columns[name] = None
        if not self.is_loop:
            self.pairs.append(tokens[1])

    def _add_row(self, tokens: list[str], number: int) -> None:
        if not self.is_loop or len(tokens) != len(self.columns):
            expected = len(self.columns) if self.is_loop else 2
            raise InputError(
                f"{self.path}: line {number}: {len(tokens)} values where {expected} are expected; "
                "the file is cut short or damaged"
            )
        self.rows.append(tokens)

    def table(self) -> pd.DataFrame:
        rows = self.rows if self.is_loop else [self.pairs] if self.columns else []
        table = pd.DataFrame(rows, columns=list(self.columns), dtype=object)
        if not self.is_loop:
            table.attrs["star_list"] = True
        return table


def _tokens(line: str) -> list[str]:
    if "#" not in line and '"' not in line and "'" not in line:
        return line.split()
    tokens: list[str] = []
    for match in _TOKEN.finditer(line):
        plain = match.group(3)
        if plain is not None and plain.startswith("#"):
            break
        tokens.append(next(group for group in match.groups() if group is not None))
    return tokens


def _list_lines(table: pd.DataFrame, decimals: int) -> list[str]:
    return [f"_{column} {_texts(pd.Series(table[column]), decimals)[0]}" for column in table.columns]


def _loop_lines(table: pd.DataFrame, decimals: int) -> list[str]:
    header = ["loop_", *(f"_{column} #{index}" for index, column in enumerate(table.columns, start=1))]
    columns = [_texts(pd.Series(table[column]), decimals) for column in table.columns]
    return [*header, *("\t".join(row) for row in zip(*columns, strict=True))]


def _texts(column: pd.Series, decimals: int) -> list[str]:
    """Values of a column as they stand in the file."""
    if pd.api.types.is_float_dtype(column.dtype):
        return [_float_text(value, decimals) for value in column.tolist()]
    return [_word(str(value)) for value in column.tolist()]


def _float_text(value: float, decimals: int) -> str:
    if not math.isfinite(value):
        raise ValueError(f"a STAR file cannot hold the number {value}")
    is_tiny = value != 0 and abs(value) < 10.0 ** (3 - decimals)
    return f"{value:.{decimals}g}" if is_tiny else f"{value:.{decimals}f}"


def _word(text: str) -> str:
    if _PLAIN.fullmatch(text) and not text.startswith(("data_", "loop_")):
        return text
    quote = "'" if '"' in text else '"'
    if quote in text or "\n" in text:
        raise ValueError(f"a STAR file cannot hold the text {text!r}")
    return f"{quote}{text}{quote}"
