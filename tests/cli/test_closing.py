"""The last lines of a run."""

import logging

import pytest

from mlit.cli.closing import close_run, closing_line, closing_rows
from mlit.project.recommend_figures import Movement, RunFigures, SeriesFigures

DONE = RunFigures(
    series=(SeriesFigures("TS_1", 40, 1200, 25.0), SeriesFigures("TS_2", 40, 1200, 5.0, rejected=True)),
    diameter_angstrom=250.0,
    finest_angstrom=5.0,
    resolutions_angstrom=(25.0, 17.2, 17.04),
    model={},
    fitted_to_angstrom=17.0,
    moved=(Movement(8.0, 5.0), Movement(0.2, 0.1)),
    expected_error=Movement(0.8, 0.4),
)


def test_rows_go_from_the_start_to_now():
    rows = {label: (start, now) for label, start, now in closing_rows(DONE, [(25.0, 9.0), (17.1, 1.0), (17.0, 1.25)])}
    assert rows["half maps agree (FSC 0.143) to, Å"] == ("25.00", "17.04")
    assert rows["held-out score of an image, fits to 17.00 Å"] == ("1.000", "1.250")  # the first looked less far
    assert rows["particles moved in an iteration (rms)"] == ("8.00 Å, 5.00°", "0.20 Å, 0.10°")
    assert rows["expected error that remains"] == ("", "0.80 Å, 0.40°")


def test_the_last_line_counts_what_went_wrong():
    assert closing_line(DONE) == "2 series used, the last fits of 1 rejected; no suspects"


@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_results_are_not_lost_where_the_table_cannot_be_made(tmp_path, caplog, content):
    if content is not None:
        (tmp_path / "summary.json").write_text(content)
    with caplog.at_level(logging.WARNING):
        close_run(tmp_path)
    assert "the results are complete" in caplog.text
