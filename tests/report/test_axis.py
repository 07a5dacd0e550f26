import math

import numpy as np
import pytest

from mlit.report.axis import linear_axis, log_axis, number, spacing_axis
from mlit.report.svg import HEIGHT, LEFT, RIGHT, WIDTH, Plot, polyline


@pytest.mark.parametrize("values", [[0.0, 0.37], [-3.2, 11], [5, 5], [1e-5, 3e-5], [12345, 99999], []])
def test_linear_axis_holds_all_values_between_round_ticks(values):
    axis = linear_axis("x", values)
    places = [place for place, _ in axis.ticks]
    room = 1e-9 * (axis.high - axis.low)
    assert all(axis.low - room <= value <= axis.high + room for value in values)
    assert places[0] == pytest.approx(axis.low)
    assert places[-1] == pytest.approx(axis.high)
    assert 2 <= len(places) <= 12
    for place, text in axis.ticks:
        assert float(text.replace("−", "-").replace("\N{NARROW NO-BREAK SPACE}", "")) == pytest.approx(place, rel=1e-5)


def test_missing_values_are_ignored():
    assert linear_axis("x", [math.nan, 2.0, math.inf, 3.0]).high == pytest.approx(3.0)
    assert log_axis("x", [math.nan, 0.0, -1.0, 10.0, 1000.0]).low == pytest.approx(10 / 1.15)


def test_equal_ratios_are_equal_steps_on_a_logarithmic_axis():
    axis = log_axis("x", [1, 1000])
    one, ten, hundred, nothing = axis.fraction([1, 10, 100, 0.0])
    assert ten - one == pytest.approx(hundred - ten)
    assert math.isnan(nothing)
    assert {"1", "10", "100", "1\u202f000"} <= {text for _, text in axis.ticks}


def test_frequencies_are_labelled_with_spacings():
    for place, text in spacing_axis(0.25).ticks:
        assert float(text) == pytest.approx(1 / place, rel=5e-3)


@pytest.mark.parametrize(("value", "text"), [(-1.234, "−1.23"), (math.nan, "–"), (12345, "12\u202f345"), (0.0, "0")])
def test_numbers_are_written_for_people(value, text):
    assert number(value) == text


def test_values_lie_where_the_axes_say():
    plot = Plot(linear_axis("x", [0, 10]), linear_axis("y", [0, 4]))
    assert plot.across([0, 5, 10]) == pytest.approx([LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT])
    bottom, top = plot.up([0, 4])
    assert 0 < top < bottom < HEIGHT


def test_missing_points_interrupt_a_line():
    x = np.arange(5.0)
    assert polyline(x, np.array([1, 2, np.nan, 4, 5.0])) == "M0.0 1.0L1.0 2.0M3.0 4.0L4.0 5.0"
