"""What is drawn of a heat map: a cell for every tilt, marks on the bad ones, bars for doubted picks."""

import re

import numpy as np
import pytest

from mlit.report.heat_map import HeatMap
from mlit.report.run_folder import RunFolder
from mlit.report.tilt_maps import MOST_SERIES, tilt_parts


@pytest.fixture
def drawn():
    values = np.array([[0.0, 1.0, 0.5], [2.0, np.nan, np.nan]])
    titles = [["a", "b", "c"], ["d", "e <f>", ""]]
    marks = ((0, 2, "weak tilt"), (1, 0, "shaded tilt"))
    return HeatMap(("A", "B & co"), values, 0.0, 1.0, "signal", titles, marks, ("1 of 4 picks", "–"), (0.25, 0.0))


def test_every_tilt_has_a_cell_in_the_colour_of_its_value(drawn):
    cells = re.findall(r"<rect (\S+) [^>]*><title>([^<]*)</title>", drawn.svg("x"))
    dark, bright, middle = (f'fill="{drawn.colour(v)}"' for v in (0.0, 1.0, 0.5))
    assert dark != bright != middle != dark
    assert cells == [(dark, "a"), (bright, "b"), (middle, "c"), (bright, "d"), ('class="empty"', "e &lt;f&gt;")]


def test_marks_and_bars_stand_in_their_rows(drawn):
    text = drawn.svg("x")
    assert len(re.findall('class="flag"', text)) == 2 * 2
    (bar,) = re.findall(r'class="bar c2"[^>]*width="([\d.]+)"', text)
    assert float(bar) == pytest.approx(10)
    assert "B &amp; co" in text
    assert "1 of 4 picks" in text


def test_maps_name_tilts_and_faults(fake):
    parts, notes = tilt_parts(RunFolder(fake.write()))
    assert [part.name for part in parts] == ["tilts-signal", "tilts-shift", "tilts-angle"]
    assert notes == []
    assert "TS_2, tilt 2; −10°, 3 e/Å²; signal 0.02; weak tilt" in parts[0].body
    assert "TS_1, tilt 4; 10°, 9 e/Å²; signal 0.52; shaded tilt" in parts[0].body
    assert "TS_1, tilt 5; 20°, 12 e/Å²; not in use" in parts[0].body
    assert "2 of 6 picks" in parts[0].body
    assert "TS_1, tilt 4; 10°, 9 e/Å²; mean shift, Å 15; shaded tilt" in parts[1].body


def test_the_worst_of_many_series_are_shown(fake):
    fake.series = tuple(f"TS_{i:02d}" for i in range(MOST_SERIES + 5))
    fake.suspects = [("TS_44", "weak tilt", 1, 1.0, 0.0), ("TS_43", "weak tilt", 2, 1.0, 0.0)]
    parts, notes = tilt_parts(RunFolder(fake.write()))
    assert len(notes) == 1
    assert f"The {MOST_SERIES} of {MOST_SERIES + 5} series" in notes[0]
    shown = set(re.findall(r"TS_\d\d(?=, tilt)", parts[0].body))
    assert len(shown) == MOST_SERIES
    assert {"TS_00", "TS_43", "TS_44"} <= shown


def test_marked_tilts_and_doubted_picks_stand_below_in_words(fake):
    (part, *_), _ = tilt_parts(RunFolder(fake.write()))
    assert re.findall("<li>([^<]*)</li>", part.body) == ["TS_1: tilt 4 □; 2 of 6 picks", "TS_2: tilt 2 ✕"]
