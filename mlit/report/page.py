"""The parts of a report, and the HTML page that they make: one file that loads nothing from elsewhere."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import numpy as np

from mlit.report.axis import number


@dataclass(frozen=True)
class Part:
    """A figure, a table or a remark.

    Attributes
    ----------
    name
        Anchor of the part in the page.
    title
        In a few words.
    caption
        How to read it, in a sentence.
    body
        HTML.
    width
        One column; two where there is room for them, or two and two rows; or the whole width.
    """

    name: str
    title: str
    caption: str
    body: str
    width: Literal["column", "double", "tall", "wide"] = "column"

    def html(self) -> str:
        """Return the part as HTML."""
        title, caption = html.escape(self.title), html.escape(self.caption)
        figure = f'<figure id="{html.escape(self.name)}" class="{self.width}">'
        return f"{figure}{self.body}<figcaption><b>{title}</b>{caption}</figcaption></figure>"


@dataclass(frozen=True)
class Section:
    """Parts under one heading; ``notes`` say what could not be shown, and why."""

    name: str
    title: str
    parts: Sequence[Part]
    notes: Sequence[str] = ()

    def html(self) -> str:
        """Return the section as HTML."""
        notes = "".join(f'<p class="fine">{html.escape(note)}</p>' for note in self.notes)
        shown = "".join(part.html() for part in self.parts)
        head = f'<section id="{self.name}"><h2>{html.escape(self.title)}</h2>'
        return f'{head}{notes}<div class="figures">{shown}</div></section>'


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what is shown, and what it is sorted by (nothing: last)."""

    text: str
    value: float | str = ""

    @classmethod
    def of(cls, value: float, digits: int = 3) -> "Cell":
        """Return a number that may be missing."""
        return cls(number(value, digits), f"{value:.9g}" if np.isfinite(value) else "")

    @classmethod
    def fixed(cls, value: float, decimals: int) -> "Cell":
        """Return a number that may be missing, with as many decimals as its neighbours."""
        text = f"{value:.{decimals}f}".replace("-", "−") if np.isfinite(value) else number(value)
        return cls(text, cls.of(value).value)


def table(heads: Sequence[str], rows: Sequence[Sequence[Cell]], *, bad: Sequence[bool] = (), words: int = -1) -> str:
    """Lay out a table that can be sorted by any column.

    Parameters
    ----------
    heads
        Names of the columns, with units.
    rows
        Cells.
    bad
        Rows to mark.
    words
        Column that holds text and may wrap.
    """
    head = "".join(
        f'<th scope="col"{" class=words" if j == words else ""}><button type="button">{html.escape(name)}</button></th>'
        for j, name in enumerate(heads)
    )
    lines = []
    for i, row in enumerate(rows):
        cells = "".join(
            f'<td{" class=words" if j == words else ""} data-value="{html.escape(str(cell.value))}">'
            f"{html.escape(cell.text)}</td>"
            for j, cell in enumerate(row)
        )
        lines.append(f"<tr{' class=bad' if i < len(bad) and bad[i] else ''}>{cells}</tr>")
    body = "".join(lines)
    return (
        f'<div class="scroll"><table class="sortable"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def document(title: str, head: str, sections: Sequence[Section]) -> str:
    """Return the whole page.

    Parameters
    ----------
    title
        Of the page.
    head
        HTML of what stands above all sections.
    sections
        In order; those with neither parts nor notes are left out.
    """
    shown = [section for section in sections if section.parts or section.notes]
    links = "".join(f'<a href="#{one.name}">{html.escape(one.title)}</a>' for one in shown)
    style, script = (files("mlit.report").joinpath(name).read_text("utf-8") for name in ("style.css", "sort.js"))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{html.escape(title)}</title><style>{style}</style></head>\n'
        f"<body><h1>{html.escape(title)}</h1><nav>{links}</nav>{head}\n"
        + "\n".join(section.html() for section in shown)
        + f"\n<script>{script}</script></body></html>\n"
    )
