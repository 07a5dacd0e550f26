"""Plots as SVG text: axes with ticks, and marks whose colours the page chooses, so that light and dark both work."""

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mlit.report.axis import Axis, number

WIDTH, HEIGHT = 440.0, 290.0  # px
LEFT, RIGHT, TOP, BOTTOM = 58.0, 20.0, 12.0, 46.0


@dataclass
class Plot:
    """A plot under construction; colours are names of the page's variables (``c1``, ``muted`` …).

    Parameters
    ----------
    x, y
        Axes.
    """

    x: Axis
    y: Axis
    width: float = WIDTH
    height: float = HEIGHT
    marks: list[str] = field(default_factory=list)
    names: list[tuple[str, str, str]] = field(default_factory=list)

    def across(self, values: Sequence[float] | np.ndarray | float) -> np.ndarray:
        """Pixels along x."""
        return np.asarray(LEFT + self.x.fraction(values) * (self.width - LEFT - RIGHT))

    def up(self, values: Sequence[float] | np.ndarray | float) -> np.ndarray:
        """Pixels along y, which SVG counts downwards."""
        return np.asarray(self.height - BOTTOM - self.y.fraction(values) * (self.height - TOP - BOTTOM))

    def line(
        self,
        x: Sequence[float] | np.ndarray,
        y: Sequence[float] | np.ndarray,
        colour: str,
        name: str = "",
        *,
        width: float = 1.6,
        dashed: bool = False,
    ) -> None:
        """Draw a line with gaps where a value is missing."""
        path = polyline(self.across(x), self.up(y))
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.marks.append(f'<path class="line {colour}" d="{path}" stroke-width="{width}"{dash}/>')
        self._name(name, colour, "dashed" if dashed else "line")

    def band(
        self, x: Sequence[float] | np.ndarray, low: np.ndarray, high: np.ndarray, colour: str, name: str = ""
    ) -> None:
        """Fill what lies between two lines."""
        there = np.isfinite(self.up(low)) & np.isfinite(self.up(high))
        x, low, high = np.asarray(x)[there], np.asarray(low)[there], np.asarray(high)[there]
        edge = polyline(self.across(np.r_[x, x[::-1]]), self.up(np.r_[low, high[::-1]]))
        self.marks.append(f'<path class="area {colour}" d="{edge}Z"/>')
        self._name(name, colour, "area")

    def points(
        self,
        x: Sequence[float] | np.ndarray,
        y: Sequence[float] | np.ndarray,
        colour: str,
        name: str = "",
        *,
        titles: Sequence[str] = (),
    ) -> None:
        """Draw dots; titles are shown under the pointer."""
        for i, (px, py) in enumerate(zip(self.across(x), self.up(y), strict=True)):
            if math.isfinite(px) and math.isfinite(py):
                title = f"<title>{html.escape(titles[i])}</title>" if titles else ""
                self.marks.append(f'<circle class="dot {colour}" cx="{px:.1f}" cy="{py:.1f}" r="3.5">{title}</circle>')
        self._name(name, colour, "dot")

    def bars(self, edges: np.ndarray, heights: np.ndarray, colour: str, name: str = "") -> None:
        """Draw a histogram."""
        left, top, base = self.across(edges), self.up(heights), float(self.up(max(self.y.low, 0.0)))
        for i, height in enumerate(np.asarray(heights)):
            title = f"{number(edges[i])} to {number(edges[i + 1])}: {number(float(height), 6)}"
            self.marks.append(
                f'<rect class="bar {colour}" x="{left[i]:.1f}" y="{top[i]:.1f}" '
                f'width="{max(left[i + 1] - left[i] - 0.8, 0.5):.1f}" height="{max(base - top[i], 0):.1f}">'
                f"<title>{title}</title></rect>"
            )
        self._name(name, colour, "area")

    def level(self, value: float, text: str) -> None:
        """Mark a value of y across the whole plot."""
        y = float(self.up(value))
        self.marks.append(f'<path class="level" d="M{LEFT} {y:.1f}H{self.width - RIGHT}"/>')
        self.marks.append(f'<text class="small" x="{LEFT + 4}" y="{y - 4:.1f}">{html.escape(text)}</text>')

    def svg(self, title: str) -> str:
        """Return the plot, with its legend behind."""
        body = "".join((*self._frame(), *self.marks))
        items = "".join(f'<li><i class="{kind} {colour}"></i>{html.escape(n)}</li>' for n, colour, kind in self.names)
        return image(body, self.width, self.height, title) + (f'<ul class="legend">{items}</ul>' if items else "")

    def _name(self, name: str, colour: str, kind: str) -> None:
        if name:
            self.names.append((name, colour, kind))

    def _frame(self) -> Iterable[str]:
        """Yield grid lines, ticks and labels."""
        right, bottom = self.width - RIGHT, self.height - BOTTOM
        for value, text in self.x.ticks:
            x = float(self.across(value))
            yield f'<path class="grid" d="M{x:.1f} {TOP}V{bottom}"/>'
            yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{html.escape(text)}</text>'
        for value, text in self.y.ticks:
            y = float(self.up(value))
            yield f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>'
            yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{html.escape(text)}</text>'
        middle_x, middle_y = (LEFT + right) / 2, (TOP + bottom) / 2
        yield (
            f'<text class="label" x="{middle_x}" y="{self.height - 8}" text-anchor="middle">'
            f"{html.escape(self.x.label)}</text>"
        )
        yield (
            f'<text class="label" transform="translate(13 {middle_y}) rotate(-90)" text-anchor="middle">'
            f"{html.escape(self.y.label)}</text>"
        )
        yield f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>'


def polyline(x: np.ndarray, y: np.ndarray) -> str:
    """Path through points; a missing one interrupts it."""
    words, drawing = [], False
    for px, py in zip(x.tolist(), y.tolist(), strict=True):
        known = math.isfinite(px) and math.isfinite(py)
        if known:
            words.append(f"{'L' if drawing else 'M'}{px:.1f} {py:.1f}")
        drawing = known
    return "".join(words)


def image(body: str, width: float, height: float, title: str, *, fixed: bool = False) -> str:
    """Wrap marks into an SVG element; a fixed one keeps its size on narrow screens."""
    style = f' style="width:{width:.0f}px;max-width:none"' if fixed else ""
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{html.escape(title)}"{style}>{body}</svg>'
    )
