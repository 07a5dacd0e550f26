"""Figures of an analysis of half maps against the files that they are drawn from."""

import csv

import numpy as np
import pandas as pd
import pytest
import torch

from mlit.fourier.shells import shell_frequencies
from mlit.io.fsc_star import write_fsc_star
from mlit.io.mrc import write_mrc
from mlit.io.star import write_star
from mlit.maps.directions import even_directions
from mlit.maps.fsc import FscCurves
from mlit.report.postprocess_figures import (
    curves_figure,
    directions_figure,
    guinier_figure,
    local_resolution_figure,
    write_postprocess_figures,
)

BOX, PIXEL, SHELLS = 24, 3.5, 13


def write_table(path, names, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows])


@pytest.fixture
def folder(tmp_path):
    corrected = torch.linspace(1, 0, SHELLS)
    frequency = shell_frequencies(BOX, PIXEL)
    write_fsc_star(
        tmp_path / "fsc.star", FscCurves(frequency, 0.7 * corrected, 0.9 * corrected, 0.1 * corrected, corrected)
    )
    squared = frequency[1:].numpy() ** 2
    fitted = squared > squared[5]
    rows = zip(
        squared, np.where(squared < squared[9], 3 - 40 * squared, -np.inf), fitted, 3 - 40 * squared, strict=True
    )
    write_table(
        tmp_path / "guinier.csv", ("frequency_squared", "log_amplitude", "fitted", "line"), map(as_numbers, rows)
    )
    return tmp_path


def as_numbers(row):
    return [float(value) for value in row]


def add_directions(folder):
    axes, frequency = even_directions(20), shell_frequencies(BOX, PIXEL)
    resolution = 8 + axes[:, 2].abs()
    rows = torch.cat([axes, resolution[:, None]], 1).tolist()
    write_table(folder / "directions.csv", ("x", "y", "z", "resolution_angstrom"), rows)
    curves = (1 - frequency[:, None] * resolution / 1.2).tolist()
    rows = [[f, *row] for f, row in zip(frequency.tolist(), curves, strict=True)]
    write_table(folder / "directional_fsc.csv", ("frequency", *(f"fsc_{i}" for i in range(1, 21))), rows[1:])
    return axes, resolution


def test_curves_and_line_are_those_of_the_files(folder):
    axes = curves_figure(folder).axes[0]
    lines = {line.get_label(): line.get_ydata() for line in axes.lines[:4]}
    np.testing.assert_allclose(lines["masked"][1:], 0.9 * np.linspace(1, 0, SHELLS)[1:], atol=1e-6)
    assert set(lines) == {"corrected", "masked", "unmasked", "randomised"}
    guinier = guinier_figure(folder).axes[0]
    assert guinier.get_legend().get_texts()[0].get_text() == "B = -160 Å²"
    assert all(np.isfinite(line.get_ydata()).all() for line in guinier.lines)


def test_directions_lie_where_they_point(folder):
    axes, resolution = add_directions(folder)
    right = directions_figure(folder).axes[1]
    places = right.collections[0].get_offsets()
    assert np.hypot(*places.T).max() <= np.sqrt(2) + 1e-6
    np.testing.assert_allclose(right.collections[0].get_array(), resolution)
    steep = int(axes[:, 2].abs().argmax())
    assert np.hypot(*places.T).argmin() == steep


def test_local_resolution_is_shown_in_the_mask_only(folder):
    volume = np.random.default_rng(0).uniform(6, 9, (BOX,) * 3).astype(np.float32)
    mask = np.zeros_like(volume)
    mask[8:16, 8:16, 8:16] = 1
    write_mrc(folder / "local_resolution.mrc", volume, PIXEL)
    write_mrc(folder / "mask.mrc", mask, PIXEL)
    table = pd.DataFrame({"wrpResolution": [6.5, 7.5, 8.5], "wrpSamples": [100, 300, 112]})
    write_star(folder / "local_resolution.star", {"": table})
    figure = local_resolution_figure(folder)
    shown = figure.axes[0].images[0].get_array()
    assert shown.count() == 64
    np.testing.assert_array_equal(shown[~shown.mask], volume[BOX // 2][mask[BOX // 2] > 0.5])
    bars = figure.axes[3].patches
    assert [bar.get_height() for bar in bars] == [100, 300, 112]


def test_what_is_there_is_drawn(folder):
    assert [path.stem for path in write_postprocess_figures(folder)] == ["fsc", "guinier"]
    add_directions(folder)
    paths = write_postprocess_figures(folder)
    assert [path.stem for path in paths] == ["fsc", "guinier", "directions"]
    assert all(path.stat().st_size > 5000 for path in paths)
