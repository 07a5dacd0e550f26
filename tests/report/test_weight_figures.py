"""Weights in the report against the table that they are drawn from."""

import numpy as np
import pytest

from mlit.project.weights_table import COLUMNS
from mlit.report.html_report import write_report
from mlit.report.run_folder import RunFolder
from mlit.report.weight_figures import BINS, draw_series, draw_tilts, spread_over_dose, weight_parts, weight_rows


def rows(series):
    for s, name in enumerate(series):
        yield (name, "series", "", "", "", 1 - 0.01 * s, 0.01, 10, 0.9 - 0.1 * s, 0.02, -10.0 * s, 5, "", "", "")
        for t in range(5):
            level = (1.0, 0.03, 10, 0.8 - 0.1 * t, 0.05, -30.0 * t - s, 20.0)
            yield (name, "tilt", t + 1, 3.0 * (4 - t), 15.0 * t - 30, *level, "", "", "")
        yield (name, "place", 1, "", "", "", "", "", 1.0, 0.1, 0.0, 10, "", "", "")


@pytest.fixture
def weighted(fake):
    """Return a function that writes a run with weights of some series."""

    def write(*series):
        fake.write_csv("weights.csv", COLUMNS, list(rows(series)))
        return RunFolder(fake.write())

    return write


def test_lines_are_the_tilts_in_the_order_of_their_dose(weighted):
    part = draw_tilts(weight_rows(weighted("A", "B"), "tilt"), "amplitude")
    assert part.body.count('<path class="line') == 2
    line = part.body.split('<path class="line c1" d="M')[1].split('"')[0]
    points = np.array([pair.split() for pair in line.split("L")], float)
    assert (np.diff(points[:, 0]) > 0).all()  # the last tilt has the lowest dose
    assert (np.diff(points[:, 1]) < 0).all()  # and the smallest amplitude; SVG counts downwards
    np.testing.assert_allclose(np.diff(points[:, 0], 2), 0, atol=0.21)
    assert "dose, e/Å²" in part.body


def test_many_series_are_shown_by_their_spread(weighted):
    tilts = weight_rows(weighted(*(f"S{i:02d}" for i in range(40))), "tilt")
    found = spread_over_dose(tilts, "bfactor_angstrom2")
    assert len(found.dose) == BINS
    np.testing.assert_allclose(found.dose, np.repeat([0, 3, 6, 9, 12], BINS // 5))
    np.testing.assert_allclose(found.quantiles[0, -1], -39, atol=30)
    np.testing.assert_allclose(found.quantiles[:, -BINS // 5 :].max(), 0)
    np.testing.assert_allclose(found.quantiles[:, : BINS // 5].min(), -30 * 4 - 39)
    part = draw_tilts(tilts, "bfactor")
    assert "half of them" in part.body
    assert "40 series" in part.caption


def test_series_are_drawn_from_the_best_to_the_worst(weighted):
    run = weighted("B", "A", "C")
    part = draw_series(weight_rows(run, "series"), "amplitude")
    assert [part.body.find(f"<title>{name}</title>") for name in "BAC"] == sorted(
        part.body.find(f"<title>{name}</title>") for name in "BAC"
    )
    assert "the worst is C" in part.caption


def test_weights_have_figures_where_they_were_estimated(weighted, fake):
    names = {part.name for part in weight_parts(weighted("A", "B"))}
    assert {f"weights-{name}" for name in ("quality", "amplitude", "bfactor")} < names
    assert "weights-series-quality" in names
    page = write_report(fake.path).read_text(encoding="utf-8")
    assert all(f'id="{name}"' in page for name in names)
    (fake.path / "weights.csv").unlink()
    assert weight_parts(RunFolder(fake.path)) == []
