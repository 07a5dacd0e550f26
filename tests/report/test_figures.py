"""Figures against the files that they are drawn from."""

import csv
import math

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.image import imread

from mlit.fourier.shells import shell_frequencies
from mlit.io.fsc_star import write_fsc_star
from mlit.io.mrc import write_mrc
from mlit.maps.fsc import FscCurves
from mlit.report.figures import (
    COLOURS,
    THRESHOLD,
    fsc_figure,
    iteration_curves,
    particles_figure,
    progress_figure,
    sections_figure,
    write_figures,
)

BOX, PIXEL = 24, 3.5
FIELDS = (
    "iteration",
    "series",
    "status",
    "passes",
    "log_posterior_start",
    "log_posterior_end",
    "fit_resolution_angstrom",
    "fsc_0.143_angstrom",
    "significant_resolution_angstrom",
)


def write_curve(run, iteration):
    """FSC file of an iteration; the corrected curve differs from all others."""
    shell = torch.arange(BOX // 2 + 1) / (BOX // 2)
    corrected = 1 - shell ** (1 + 0.3 * iteration)
    folder = run / "fsc" / "molecule"
    folder.mkdir(parents=True, exist_ok=True)
    curves = FscCurves(shell_frequencies(BOX, PIXEL), 0.7 * corrected, 0.9 * corrected, 0.1 * corrected, corrected)
    write_fsc_star(folder / f"iteration_{iteration}.star", curves)
    return corrected.numpy()


def write_metrics(run, rows):
    """Table of metrics as a run leaves it behind."""
    with open(run / "metrics.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        writer.writerows(rows)


def metrics(iterations, names):
    """Rows of a run: nothing fitted in iteration 0, gains and resolutions that tell all points apart."""
    rows = []
    for i in range(iterations + 1):
        for j, name in enumerate(names):
            start, gain = 1000.0 * j, 100.0 / (i + j + 1)
            fitted = (
                ("improved", 3, start, start + gain, 12.5) if i else ("not fitted", 0, math.nan, math.nan, math.nan)
            )
            rows.append((i, name, *fitted, 20.0 - 2.5 * i, 18.0 - 2.5 * i))
    return rows


def write_maps(run, mask=None, size=BOX):
    """Map with other values in every voxel, and a mask."""
    folder = run / "molecule"
    folder.mkdir()
    volume = np.random.default_rng(0).normal(size=(size, size, size)).astype(np.float32)
    write_mrc(folder / "map_filtered.mrc", volume, PIXEL)
    write_mrc(folder / "mask.mrc", np.ones_like(volume) if mask is None else mask, PIXEL)
    return volume


def box_mask(size, along_x):
    """Mask of a bar between two voxels along x, and narrow along y and z."""
    mask = np.zeros((size, size, size), np.float32)
    mask[size // 2 - 2 : size // 2 + 3, size // 2 - 4 : size // 2 + 5, along_x] = 1
    return mask


@pytest.fixture
def run(tmp_path):
    """Folder of a run of two iterations with two series."""
    for iteration in range(3):
        write_curve(tmp_path, iteration)
    write_metrics(tmp_path, metrics(2, ["TS_1", "TS_2"]))
    write_maps(tmp_path, box_mask(BOX, slice(6, 20)))
    return tmp_path


def test_curves_are_those_of_the_files_in_the_order_of_the_iterations(tmp_path):
    expected = {iteration: write_curve(tmp_path, iteration) for iteration in (10, 2, 0, 1)}
    curves = iteration_curves(tmp_path, "molecule")
    assert list(curves) == [0, 1, 2, 10]
    lines = {line.get_label(): line for line in fsc_figure(tmp_path, "molecule").axes[0].lines}
    for iteration, corrected in expected.items():
        line = lines["start" if iteration == 0 else f"iteration {iteration}"]
        x, y = line.get_data()
        np.testing.assert_array_equal(x, curves[iteration][0])
        np.testing.assert_array_equal(y, curves[iteration][1])
        np.testing.assert_allclose(x, np.arange(BOX // 2 + 1) / (BOX * PIXEL), rtol=1e-6)
        np.testing.assert_allclose(y[1:], corrected[1:], atol=1e-7)


def test_curves_are_named_and_told_apart(run):
    axes = fsc_figure(run, "molecule").axes[0]
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["start", "iteration 1", "iteration 2"]
    colours = [to_hex(line.get_color()) for line in axes.lines[:3]]
    assert colours == [colour.lower() for colour in COLOURS[:3]]
    assert axes.get_xlabel() == f"resolution, Å; evenly in frequency, 0 to {axes.get_xlim()[1]:.3g} 1/Å"
    assert "shell correlation" in axes.get_ylabel()


def test_ticks_of_the_resolution_axis_lie_where_their_labels_say(run):
    axes = fsc_figure(run, "molecule").axes[0]
    assert axes.get_xlim()[0] == 0
    assert axes.get_xlim()[1] >= 1 / (2 * PIXEL)
    ticks = axes.get_xticks()
    assert len(ticks) == 6
    for place, label in zip(ticks, axes.get_xticklabels(), strict=True):
        assert 1 / place == pytest.approx(float(label.get_text()), rel=0.006)


def test_threshold_is_drawn_at_its_height(run):
    axes = fsc_figure(run, "molecule").axes[0]
    (threshold,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert list(threshold.get_ydata()) == [THRESHOLD, THRESHOLD]
    assert [text.get_text() for text in axes.texts] == ["0.143"]


def test_progress_shows_the_numbers_of_the_table(run):
    left, right = progress_figure(run).axes
    rows = metrics(2, ["TS_1", "TS_2"])
    assert [line.get_label() for line in left.lines] == ["TS_1", "TS_2"]
    for line in left.lines:
        own = [row for row in rows if row[1] == line.get_label() and row[3] > 0]
        assert list(line.get_xdata()) == [1, 2]
        assert list(line.get_ydata()) == [pytest.approx(row[5] - row[4]) for row in own]
    (resolution,) = right.lines
    assert list(resolution.get_xdata()) == [0, 1, 2]
    assert list(resolution.get_ydata()) == [20.0, 17.5, 15.0]
    assert "Å" in right.get_ylabel()
    assert "0.143" in right.get_ylabel()
    assert "nats" in left.get_ylabel()
    for axes in (left, right):
        assert axes.get_xlabel() == "iteration"
        assert list(axes.get_xticks()) == [0, 1, 2]
    assert right.get_ylim()[0] == 0
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["TS_1", "TS_2"]


def test_series_that_was_not_fitted_in_an_iteration_has_a_gap(run):
    rows = metrics(3, ["TS_1", "TS_2"])
    rows = [(*row[:2], "left out: no images", 0, *row[4:]) if row[:2] == (2, "TS_2") else row for row in rows]
    rows = [(*row[:2], "rejected", 1, math.nan, math.nan, *row[6:]) if row[:2] == (1, "TS_1") else row for row in rows]
    write_metrics(run, rows)
    figure = progress_figure(run)
    first, second = figure.axes[0].lines
    assert list(second.get_xdata()) == [1, 3]
    assert math.isnan(first.get_ydata()[0])
    assert math.isfinite(first.get_ydata()[1])
    figure.savefig(run / "gap.png")


@pytest.mark.parametrize(("count", "named"), [(1, True), (7, True), (8, False), (60, False)])
def test_many_series_go_without_names(run, count, named):
    names = [f"TS_{i:02d}" for i in range(count)]
    write_metrics(run, metrics(2, names))
    left, _ = progress_figure(run).axes
    assert [line.get_label() for line in left.lines] == names
    legend = left.get_legend()
    assert (legend is not None) == named
    if legend is not None:
        assert [text.get_text() for text in legend.get_texts()] == names
        assert len({to_hex(line.get_color()) for line in left.lines}) == count


def test_a_fit_that_lost_is_shown_below_zero(run):
    write_metrics(run, [(1, "TS_1", "improved", 3, 500.0, 440.0, 12.0, 15.0, 15.0)])
    left, _ = progress_figure(run).axes
    assert list(left.lines[0].get_ydata()) == [-60.0]
    assert left.get_ylim()[0] < -60


@pytest.mark.parametrize("size", [BOX, BOX + 1])
def test_sections_are_the_central_ones(tmp_path, size):
    volume = write_maps(tmp_path, size=size)
    middle = size // 2
    figure = sections_figure(tmp_path / "molecule")
    expected = [
        ("x, Å", "y, Å", volume[middle]),
        ("x, Å", "z, Å", volume[:, middle]),
        ("y, Å", "z, Å", volume[:, :, middle]),
    ]
    for axes, (across, up, section) in zip(figure.axes, expected, strict=True):
        assert (axes.get_xlabel(), axes.get_ylabel()) == (across, up)
        (image,) = axes.images
        np.testing.assert_array_equal(image.get_array(), section)
        assert image.origin == "lower"
        assert image.get_clim() == pytest.approx(np.percentile(volume, (1, 99.8)))


@pytest.mark.parametrize("size", [BOX, BOX + 1])
def test_sections_have_their_origin_in_the_middle_voxel(tmp_path, size):
    """Coordinates count from index n // 2, the centre of the particle, in Å."""
    write_maps(tmp_path, size=size)
    for axes in sections_figure(tmp_path / "molecule").axes:
        left, right, bottom, top = axes.images[0].get_extent()
        assert right - left == pytest.approx(size * PIXEL)
        assert (left, right) == (bottom, top)
        assert left + (size // 2 + 0.5) * PIXEL == pytest.approx(0)


def outline(axes):
    """Corners of the outlines in a section, none or more."""
    paths = [path.vertices for collection in axes.collections for path in collection.get_paths()]
    return np.concatenate(paths) if paths else np.zeros((0, 2))


def test_outline_lies_on_the_edge_of_the_mask(tmp_path):
    """Half way between the last voxel inside and the first outside, to a hundredth of a voxel."""
    write_maps(tmp_path, box_mask(BOX, slice(1, 22)))
    front, side, end = sections_figure(tmp_path / "molecule").axes
    x, y, z = (np.array(edge) * PIXEL for edge in ((-11.5, 9.5), (-4.5, 4.5), (-2.5, 2.5)))
    for axes, across, up in ((front, x, y), (side, x, z), (end, y, z)):
        corners = outline(axes)
        for edge, found in ((across, corners[:, 0]), (up, corners[:, 1])):
            np.testing.assert_allclose((found.min(), found.max()), edge, atol=0.01 * PIXEL)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_mask_without_an_edge_draws_no_outline(tmp_path, value):
    volume = write_maps(tmp_path, np.full((BOX,) * 3, value, np.float32))
    figure = sections_figure(tmp_path / "molecule")
    figure.savefig(tmp_path / "sections.png")
    assert all(len(outline(axes)) == 0 for axes in figure.axes)
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), volume[BOX // 2])


def test_mask_that_misses_the_middle_is_outlined_where_it_is_cut(tmp_path):
    """The bar lies to one side along x: the section across x does not meet it."""
    write_maps(tmp_path, box_mask(BOX, slice(2, 6)))
    front, side, end = sections_figure(tmp_path / "molecule").axes
    assert len(outline(front)) > 0
    assert len(outline(side)) > 0
    assert len(outline(end)) == 0


def test_empty_map_can_be_drawn(tmp_path):
    write_maps(tmp_path)
    write_mrc(tmp_path / "molecule" / "map_filtered.mrc", np.zeros((BOX,) * 3, np.float32), PIXEL)
    sections_figure(tmp_path / "molecule").savefig(tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 1000


def test_figures_are_written_as_png(run):
    paths = write_figures(run, "molecule")
    assert paths == [run / "figures" / f"{name}.png" for name in ("fsc", "sections", "progress")]
    for path, (width, height) in zip(paths, ((6.4, 4.4), (9.6, 3.4), (9.6, 3.8)), strict=True):
        picture = imread(path)
        assert picture.shape[:2] == (round(120 * height), round(120 * width))
        assert picture[..., :3].std() > 0.02
    assert write_figures(run, "molecule") == paths


@pytest.mark.parametrize("iterations", [0, 1])
def test_shortest_runs_have_figures_too(tmp_path, iterations):
    """A reconstruction alone, and one iteration; one series each."""
    for iteration in range(iterations + 1):
        write_curve(tmp_path, iteration)
    write_metrics(tmp_path, metrics(iterations, ["TS_1"]))
    write_maps(tmp_path)
    assert all(path.stat().st_size > 5000 for path in write_figures(tmp_path, "molecule"))
    left, right = progress_figure(tmp_path).axes
    assert sum(len(line.get_xdata()) for line in left.lines) == iterations
    assert list(right.lines[0].get_ydata()) == [20.0, 17.5][: iterations + 1]
    assert len(fsc_figure(tmp_path, "molecule").axes[0].get_legend().get_texts()) == iterations + 1


def test_drawing_leaves_the_backend_of_the_caller_alone(run, monkeypatch):
    monkeypatch.setitem(matplotlib.rcParams, "backend", "svg")
    write_figures(run, "molecule")
    assert matplotlib.rcParams["backend"] == "svg"


def test_subsets_lie_at_their_number_and_resolution(tmp_path):
    lines = ["particles,resolution_angstrom,line_angstrom", "100,16.0,15.0", "200,12.0,12.5", "400,10.0,10.0"]
    (tmp_path / "subsets.csv").write_text("\n".join(lines))
    axes = particles_figure(tmp_path).axes[0]
    points, line = axes.lines
    assert points.get_xdata().tolist() == [100, 200, 400]
    np.testing.assert_allclose(points.get_ydata(), np.array([16.0, 12.0, 10.0]) ** -2)
    np.testing.assert_allclose(line.get_ydata(), np.array([15.0, 12.5, 10.0]) ** -2)
    assert [label.get_text() for label in axes.get_yticklabels()][::4] == ["16.00", "10.00"]
    assert axes.get_xscale() == "log"
    (tmp_path / "subsets.csv").write_text("particles,resolution_angstrom,line_angstrom\n100,16.0,\n200,16.0,\n")
    assert len(particles_figure(tmp_path).axes[0].lines) == 1
