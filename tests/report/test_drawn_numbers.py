"""Every plot of the report shows the numbers of the files it was made from: read back from its picture."""

import base64
import io
import itertools
import re

import numpy as np
import pytest
from matplotlib.image import imread

from mlit.fourier.shells import shell_frequencies
from mlit.io.mrc import read_mrc
from mlit.report.html_report import write_report
from mlit.report.map_figures import directional_numbers, read_halves
from mlit.report.orientations import distribution, view_directions
from mlit.report.resolution_figures import guinier_numbers
from mlit.report.run_folder import RunFolder
from mlit.report.warp_fields import WarpField, draw_warps
from tests.report.conftest import BOX, PIXEL
from tests.report.drawn import Drawn, figure, inverse_square, reciprocal

FREQUENCY = shell_frequencies(BOX, PIXEL).numpy()
SHARE = np.arange(BOX // 2 + 1) / (BOX // 2)


@pytest.fixture
def run(fake):
    folder = fake.write()
    write_report(folder)
    return RunFolder(folder)


@pytest.fixture
def page(run):
    return (run.path / "report.html").read_text(encoding="utf-8")


def check_curve(found, values):
    x, y = found
    np.testing.assert_allclose(x, FREQUENCY[1:], atol=0.002 * FREQUENCY[-1])
    np.testing.assert_allclose(y, values[1:], atol=0.006)


def corrected(iteration):
    return 1 - SHARE ** (1 + iteration)


def test_curves_of_all_iterations(page):
    drawn = Drawn(figure(page, "fsc-iterations-molecule"), x=reciprocal)
    for iteration, colour in enumerate(("c0", "c5", "c1")):
        check_curve(drawn.line(colour), corrected(iteration))


def test_changes_of_the_curves(page):
    drawn = Drawn(figure(page, "fsc-changes-molecule"), x=reciprocal)
    for iteration, colour in ((1, "c5"), (2, "c1")):
        check_curve(drawn.line(colour), corrected(iteration) - corrected(iteration - 1))


def test_curves_of_the_final_maps(page):
    markup = figure(page, "fsc-final-molecule")
    drawn = Drawn(markup, x=reciprocal)
    colours = dict(re.findall(r'<i class="line (\w+)"></i>(\w+)<', markup))
    factors = {"corrected": 1.0, "masked": 0.9, "unmasked": 0.7, "randomised": 0.1}
    assert set(colours.values()) == set(factors)
    for colour, name in colours.items():
        check_curve(drawn.line(colour), factors[name] * corrected(2))


def test_guinier_plot(run, page):
    numbers = guinier_numbers(run.path / "molecule")
    x, y = Drawn(figure(page, "guinier-molecule")).line("c0")
    np.testing.assert_allclose(x, numbers.frequency_squared, atol=0.005 * x.max())
    np.testing.assert_allclose(y, numbers.log_amplitude, atol=0.006 * np.ptp(numbers.log_amplitude))


def test_resolution_of_subsets(page):
    drawn = Drawn(figure(page, "growth-molecule"), x=np.log, y=inverse_square)
    particles, squared = drawn.dots("c1")
    np.testing.assert_allclose(np.exp(particles), [3, 6, 12], rtol=0.01)
    np.testing.assert_allclose(squared**-0.5, [12, 10, 9], rtol=0.005)
    line_particles, line_squared = drawn.line("c2")
    assert np.exp(line_particles[-1]) == pytest.approx(24, rel=0.01)
    slope, start = np.polyfit(np.log([3, 6, 12]), inverse_square([12, 10, 9]), 1)
    np.testing.assert_allclose(line_squared, start + slope * line_particles, rtol=0.01)


def test_movement_and_error_by_iteration(page):
    """Two series: they moved by 4 and 2 Å, and are off by 1 and 2 Å."""
    drawn = Drawn(figure(page, "moved"), y=np.log)
    for colour, low, middle, high in (("c1", [4, 2], [4, 2], [4, 2]), ("c2", [1, 1], [1.5, 1.5], [2, 2])):
        for found in (drawn.line(colour), drawn.dots(colour)):
            np.testing.assert_allclose(found[0], [1, 2], atol=0.01)
            np.testing.assert_allclose(np.exp(found[1]), middle, rtol=0.01)
        _, lower, upper = drawn.band(colour)
        np.testing.assert_allclose(np.exp(lower), low, rtol=0.01)
        np.testing.assert_allclose(np.exp(upper), high, rtol=0.01)


def test_gain_by_iteration(page):
    drawn = Drawn(figure(page, "gains"), y=np.log)
    np.testing.assert_allclose(np.exp(drawn.line("c3")[1]), [67.5, 37.5], rtol=0.01)
    _, lower, upper = drawn.band("c3")
    np.testing.assert_allclose(np.exp([lower, upper]), [[45, 30], [90, 45]], rtol=0.01)


def test_resolution_by_iteration(page):
    markup = figure(page, "resolution-iterations")
    drawn = Drawn(markup)
    np.testing.assert_allclose(drawn.dots("c1"), [[0, 1, 2], [15, 12, 9]], atol=0.05)
    np.testing.assert_allclose(drawn.dashed("c1"), [[0, 1, 2], [16, 13, 10]], atol=0.05)


def test_table_of_the_iterations(page):
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", figure(page, "iterations"), re.DOTALL)[1:]
    cells = [[re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)] for row in rows]
    assert [row[0] for row in cells] == ["start", "1", "2"]
    assert [row[1] for row in cells] == ["", "poses", "poses, image_warp"]
    assert [float(row[2]) for row in cells[1:]] == [13, 12]


def test_local_resolution(run, page):
    volume, _ = read_mrc(run.path / "molecule" / "local_resolution.mrc")
    mask, _ = read_mrc(run.path / "molecule" / "mask.mrc")
    inside = volume[mask > 0.5]
    left, heights = Drawn(figure(page, "local-resolution-molecule")).bars()
    counts, _ = np.histogram(inside, [*np.round(left, 2), np.inf])
    np.testing.assert_allclose(heights, counts, atol=0.01 * counts.max())


def test_resolution_by_direction(run, page):
    halves = read_halves(run, "molecule")
    assert halves is not None
    each = directional_numbers(run, "molecule", halves).curves.numpy().clip(-0.1, 1.03)
    drawn = Drawn(figure(page, "directional-molecule"), x=reciprocal)
    check_curve(drawn.line("c2"), corrected(2))
    for colour, shares in (("c6", (0, 1)), ("c1", (0.25, 0.75))):
        x, *edges = drawn.band(colour)
        for edge, share in zip(edges, shares, strict=True):
            check_curve((x, edge), np.quantile(each, share, axis=0))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("position-errors", {6**0.5: 10}),
        ("rotation-errors", {0.3 * 3**0.5: 10}),
        ("probabilities", {0.01: 2, 0.99: 10}),
    ],
)
def test_histograms_of_particles(page, name, expected):
    """Of twelve picks, two are doubted; errors are of those that are believed."""
    left, heights = Drawn(figure(page, f"{name}-molecule")).bars()
    width = left[1] - left[0]
    counted = {value: round(float(heights[int((value - left[0] + 0.02 * width) // width)])) for value in expected}
    assert counted == expected
    assert heights.sum() == pytest.approx(sum(expected.values()), abs=0.3)


def test_directions_of_view(run, page):
    found = distribution(view_directions(run, "molecule"))
    assert found is not None
    markup = figure(page, "angular-distribution-molecule")
    cells = re.findall(r'<rect fill="[^"]*" x="([\d.]+)" y="([\d.]+)"[^>]*><title>([\d.]+) × even', markup)
    places = np.array(cells, float)
    order = np.lexsort((places[:, 0], -places[:, 1]))  # from the lowest z up, each from the left
    np.testing.assert_allclose(places[order, 2], found.ratio.ravel(), rtol=0.006)


def test_sections_of_the_maps(run, page):
    pictures = re.findall(r'base64,([^"]*)', figure(page, "sections-molecule"))
    titles = ["map", "map_sharp"]
    assert len(pictures) == 3 * len(titles)
    for number, encoded in enumerate(pictures):
        volume, _ = read_mrc(run.path / "molecule" / f"{titles[number // 3]}.mrc")
        plane = volume.take(BOX // 2, number % 3)[::-1]
        seen = imread(io.BytesIO(base64.b64decode(encoded)))[:, :, 0]
        inside = (seen > 0) & (seen < 1)
        assert np.corrcoef(seen[inside], plane[inside])[0, 1] > 0.999


def cells_of(page, name):
    """Colour and value of the cells of a heat map, by series and tilt."""
    pattern = r'<rect fill="([^"]*)"[^>]*><title>(TS_\d), tilt (\d);[^<]*; [^<;]* ([\d.]+)(?:;[^<]*)?</title>'
    return {
        (series, int(tilt)): (fill, float(text)) for fill, series, tilt, text in re.findall(pattern, figure(page, name))
    }


def test_cells_of_tilts(page):
    """Shifts are 5 Å and turns 0.1° √2 times the number of the tilt; signals are those of the table of tilts."""
    for name, value in (("tilts-shift", 5.0), ("tilts-angle", 0.1 * 2**0.5)):
        cells = cells_of(page, name)
        assert len(cells) == 8
        for (_, tilt), (_, shown) in cells.items():
            assert shown == pytest.approx(value * (tilt - 1), abs=0.006)
    cells = cells_of(page, "tilts-signal")
    expected = {("TS_1", 1): 1.0, ("TS_1", 2): 1.1, ("TS_1", 4): 1.3 * 0.4, ("TS_2", 2): 0.02, ("TS_2", 3): 1.21}
    for place, signal in expected.items():
        assert cells[place][1] == pytest.approx(signal, abs=0.006)


def test_colours_of_cells_follow_their_values(page):
    """From dark to bright."""
    shades = {
        shown: sum(int(fill[i : i + 2], 16) for i in (1, 3, 5))
        for fill, shown in cells_of(page, "tilts-shift").values()
    }
    values = sorted(shades)
    assert all(shades[low] < shades[high] for low, high in itertools.pairwise(values))


def test_arrows_of_the_warp(page):
    """The local part is ± 1 Å in the first and ± 2 Å in the second series, the longest arrow is 26 px."""
    panels = figure(page, "warps").split("<svg")[1:]
    for panel, local in zip(panels, [1.0] * 3 + [2.0] * 3, strict=True):
        arrows = re.findall(r'class="flag" d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)', panel)
        moved = np.array(arrows, float)[::2]
        assert len(moved) == 4
        expected = np.where(moved[:, 0] > 100, local, -local) * 13
        np.testing.assert_allclose(moved[:, 2] - moved[:, 0], expected, atol=0.11)
        np.testing.assert_allclose(moved[:, 3], moved[:, 1], atol=0.11)


def test_arrows_of_the_warp_start_at_their_nodes_with_y_upwards():
    corners, moved = np.array([0.0, 1.0]), np.array([[2.0, 0.0], [0.0, 1.0]])
    field = WarpField("TS_1", 1, corners, corners, moved, np.zeros(2), np.zeros(2))
    (part,) = draw_warps([field], 1, {})
    frame = re.search(r'class="frame" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', part.body)
    assert frame is not None
    left, top, width, height = map(float, frame.groups())
    arrows = np.array(re.findall(r'class="flag" d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)', part.body), float)[::2]
    expected = [[left, top + height, left + 26, top + height], [left + width, top, left + width, top - 13]]
    np.testing.assert_allclose(arrows, expected, atol=0.11)


def test_table_of_the_series(page):
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", figure(page, "series-table"), re.DOTALL)
    cells = {}
    for row in rows[1:]:
        name, *rest = (re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row))
        cells[name] = rest
    assert cells["TS_1"][:3] == ["6", "2", "1"]
    assert [float(text) for text in cells["TS_1"][3:7]] == [1200, 1245, 135, 2]
    assert [float(text) for text in cells["TS_2"][7:10]] == [4, 2, 0.5]
    assert cells["TS_9"][-1] == "left out: blank &lt;images&gt;"
