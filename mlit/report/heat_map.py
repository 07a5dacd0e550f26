"""Heat maps of series by tilt, with marks on what is suspect."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex

from mlit.report.axis import number
from mlit.report.svg import image

CELL, GAP, RIGHT, TOP, BOTTOM = 17.0, 1.0, 118.0, 8.0, 64.0  # px
LETTER = 7.2  # px, and wide ones less than this on average
MOST_LETTERS = 14
STEPS = 12  # of the colour bar
SCALE = "cividis"  # even to colour-blind eyes, and in print


@dataclass(frozen=True)
class HeatMap:
    """What is drawn: a value for each series and tilt.

    Attributes
    ----------
    names
        Of the rows.
    values
        Rows and columns; not a number where there is no such tilt, or it is not in use.
    low, high
        Ends of the colour scale; what lies beyond has the colour of the end.
    label
        Quantity and unit.
    titles
        What the pointer shows for each cell.
    marks
        Rows, columns (from 0) and kinds of what is marked.
    beside
        Text to the right of each row.
    share
        Length of a bar to the right of each row, 0 to 1.
    """

    names: Sequence[str]
    values: np.ndarray
    low: float
    high: float
    label: str
    titles: Sequence[Sequence[str]]
    marks: Sequence[tuple[int, int, str]] = ()
    beside: Sequence[str] = ()
    share: Sequence[float] = ()

    @property
    def name_width(self) -> float:
        """Room for the names of the rows (px)."""
        return 14 + LETTER * max([min(len(name), MOST_LETTERS) for name in self.names], default=0)

    def colour(self, value: float) -> str:
        """Colour of a value."""
        shades = _shades()
        return shades[round((len(shades) - 1) * float(np.clip((value - self.low) / (self.high - self.low), 0, 1)))]

    def svg(self, title: str) -> str:
        """Return the heat map; it keeps its size on narrow screens, to be scrolled."""
        rows, columns = self.values.shape
        width, height = self.name_width + columns * CELL + RIGHT, TOP + rows * CELL + BOTTOM
        body = [*self._cells(), *self._marks(), *self._names(), *self._beside(), *self._axis(), *self._scale()]
        drawn = image("".join(body), max(width, self.name_width + 290), height, title, fixed=True)
        return f'<div class="scroll">{drawn}</div>'

    def _cells(self) -> list[str]:
        cells = []
        for row, column in np.ndindex(*self.values.shape):
            value, title = float(self.values[row, column]), str(self.titles[row][column])
            if not title:
                continue
            x, y = self.name_width + column * CELL, TOP + row * CELL
            fill = f'fill="{self.colour(value)}"' if np.isfinite(value) else 'class="empty"'
            cells.append(
                f'<rect {fill} x="{x:g}" y="{y:g}" width="{CELL - GAP:g}" height="{CELL - GAP:g}">'
                f"<title>{html.escape(title)}</title></rect>"
            )
        return cells

    def _marks(self) -> list[str]:
        """Draw a cross on a weak tilt, and a square around a shaded one; a black edge keeps them visible anywhere."""
        drawn = []
        for row, column, kind in self.marks:
            x, y, far = self.name_width + column * CELL + 2.5, TOP + row * CELL + 2.5, CELL - GAP - 5
            cross = f"M{x} {y}l{far} {far}M{x + far} {y}l{-far} {far}"
            path = cross if kind == "weak tilt" else f"M{x} {y}h{far}v{far}h{-far}Z"
            drawn.append(f'<path class="flag" d="{path}"/><path class="flag" d="{path}"/>')
        return drawn

    def _names(self) -> list[str]:
        return [
            f'<text class="strong" x="{self.name_width - 6}" y="{TOP + (row + 0.75) * CELL:.1f}" text-anchor="end">'
            f"{html.escape(_short(name))}<title>{html.escape(name)}</title></text>"
            for row, name in enumerate(self.names)
        ]

    def _beside(self) -> list[str]:
        left = self.name_width + self.values.shape[1] * CELL + 6
        drawn = []
        for row, text in enumerate(self.beside):
            y = TOP + row * CELL
            length = 40 * min(self.share[row], 1.0) if row < len(self.share) else 0.0
            if length > 0:
                drawn.append(
                    f'<rect class="bar c2" x="{left}" y="{y + 1:g}" width="{length:.1f}" height="{CELL - 3:g}"/>'
                )
            drawn.append(f'<text x="{left + length + 5:.1f}" y="{y + 0.75 * CELL:.1f}">{html.escape(text)}</text>')
        return drawn

    def _axis(self) -> list[str]:
        rows, columns = self.values.shape
        y = TOP + rows * CELL
        ticks = [1, *range(5, columns + 1, 5)]
        drawn = [
            f'<text x="{self.name_width + (tick - 0.5) * CELL:.1f}" y="{y + 13:g}" text-anchor="middle">{tick}</text>'
            for tick in ticks
        ]
        place = f'x="{self.name_width + min(columns * CELL, 360.0) / 2:g}" y="{y + 29:g}"'
        return [
            *drawn,
            f'<text class="label" {place} text-anchor="middle">tilt, in the order of the XML</text>',
        ]

    def _scale(self) -> list[str]:
        y, side = TOP + len(self.names) * CELL + 38, 14.0
        left = self.name_width + 12
        steps = np.linspace(self.low, self.high, STEPS)
        drawn = [
            f'<rect fill="{self.colour(float(v))}" x="{left + i * side:g}" y="{y:g}" width="{side:g}" height="11"/>'
            for i, v in enumerate(steps)
        ]
        drawn.append(f'<text x="{left - 5}" y="{y + 10:g}" text-anchor="end">{number(self.low)}</text>')
        text = f"{number(self.high)}   {self.label}"
        return [*drawn, f'<text x="{left + STEPS * side + 5}" y="{y + 10:g}">{html.escape(text)}</text>']


@cache
def _shades() -> list[str]:
    """Colours of the scale from end to end."""
    return [to_hex(colour) for colour in colormaps[SCALE](np.linspace(0, 1, 256))]


def _short(name: str) -> str:
    """Keep the end of a long name, which tells series apart."""
    return name if len(name) <= MOST_LETTERS else f"…{name[1 - MOST_LETTERS :]}"
