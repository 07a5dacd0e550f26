"""What a figure of the report shows, read back from its picture by the labels of its axes."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlit.report.svg import BOTTOM, HEIGHT, LEFT

Scale = Callable[[np.ndarray], np.ndarray]
NUMBER = r"(-?[\d.]+)"


def figure(page: str, name: str) -> str:
    """Markup of the figure of that name."""
    found = re.search(rf'<figure[^>]*id="{name}".*?</figure>', page, re.DOTALL)
    assert found is not None, name
    return found.group(0)


def linear(values):
    return np.asarray(values, float)


def reciprocal(values):
    return 1 / np.asarray(values, float)


def inverse_square(values):
    return np.asarray(values, float) ** -2


@dataclass
class Drawn:
    """A plot, whose axes are even in what ``x`` and ``y`` make of the numbers written beside them."""

    markup: str
    x: Scale = linear
    y: Scale = linear

    def _axis(self, ticks, scale):
        pixels, values = np.array(ticks, float).T
        slope, start = np.polyfit(pixels, scale(values), 1)
        assert np.abs(start + slope * pixels - scale(values)).max() < 0.01 * np.ptp(scale(values)), "ticks lie evenly"
        return lambda where: start + slope * np.asarray(where, float)

    def _numbers(self, pattern):
        found = re.findall(pattern, self.markup)
        return [(float(px), float(text.replace("−", "-"))) for px, text in found]

    def across(self, pixels):
        ticks = self._numbers(rf'<text x="{NUMBER}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">([^<]+)</text>')
        return self._axis(ticks, self.x)(pixels)

    def up(self, pixels):
        ticks = self._numbers(rf'<text x="{LEFT - 6}" y="{NUMBER}" text-anchor="end">([^<]+)</text>')
        return self._axis([(px - 4, value) for px, value in ticks], self.y)(pixels)

    def _path(self, text):
        points = np.array(re.findall(rf"[ML]{NUMBER} {NUMBER}", text), float)
        return self.across(points[:, 0]), self.up(points[:, 1])

    def line(self, colour):
        """Points of the only line of a colour, on axes that are even."""
        (path,) = re.findall(rf'class="line {colour}" d="([^"]*)"', self.markup)
        return self._path(path)

    def dashed(self, colour):
        """The same of the only dashed one."""
        (path,) = re.findall(rf'class="line {colour}" d="([^"]*)"[^>]*stroke-dasharray', self.markup)
        return self._path(path)

    def band(self, colour):
        """Lower and upper edge of a band."""
        (path,) = re.findall(rf'class="area {colour}" d="([^"]*)Z"', self.markup)
        x, y = self._path(path)
        half = len(x) // 2
        return x[:half], y[:half], y[half:][::-1]

    def dots(self, colour):
        """Their places."""
        found = np.array(re.findall(rf'class="dot {colour}" cx="{NUMBER}" cy="{NUMBER}"', self.markup), float)
        return self.across(found[:, 0]), self.up(found[:, 1])

    def bars(self):
        """Left edges and heights of a histogram."""
        found = re.findall(
            rf'class="bar \w+" x="{NUMBER}" y="{NUMBER}" width="{NUMBER}" height="{NUMBER}"', self.markup
        )
        left, top, _, height = np.array(found, float).T
        return self.across(left), self.up(top) - self.up(top + height)
