"""Plain tables for people and for files."""

from collections.abc import Sequence


def plain_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out text in columns: the first to the left, the others to the right."""
    lines = [list(headings), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    laid_out = [_line(line, widths) for line in lines]
    return "\n".join([laid_out[0], "-" * len(laid_out[0]), *laid_out[1:]])


def number(value: float | None, digits: int = 1, missing: str = "–") -> str:
    """Write a number, or a sign that there is none."""
    return missing if value is None else f"{value:.{digits}f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    return "  ".join([first, *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))])
