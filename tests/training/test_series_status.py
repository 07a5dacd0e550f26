"""How fits went, alone and together."""

import math

import pytest

from mlit.likelihood.deviation import Deviation
from mlit.training.series_status import SeriesStatus, summary_of_fits


def fitted(images, held_out, error):
    return SeriesStatus("improved", 3, 1.0, 2.0, held_out, images, 10.0, Deviation(1, 2, 3), 0.1, error)


def test_a_status_survives_as_a_mapping():
    status = fitted(5, 7.5, Deviation(0.5, 0.25, 30.0))
    assert SeriesStatus.from_mapping(status.as_mapping()) == status


def test_series_count_by_their_images():
    first, second = fitted(100, 300.0, Deviation(1.0, 0.5, 30.0)), fitted(300, 500.0, Deviation(2.0, 0.1, 10.0))
    found = summary_of_fits([first, SeriesStatus("not fitted"), second])
    assert found["held_out_log_likelihood"] == pytest.approx(2.0)
    assert found["expected_error"]["position_angstrom"] == pytest.approx(math.sqrt((100 * 1 + 300 * 4) / 400))
    assert found["expected_error"]["rotation_deg"] == pytest.approx(math.sqrt((100 * 0.25 + 300 * 0.01) / 400))
    assert found["fit_resolution_angstrom"] == 10.0


def test_where_nothing_was_fitted_there_are_no_figures():
    assert set(summary_of_fits([SeriesStatus("not fitted")]).values()) == {None}


def test_the_reason_of_a_series_left_out():
    assert SeriesStatus.left_out("a.mrc: damaged").reason_left_out == "a.mrc: damaged"
    assert fitted(1, 1.0, Deviation(1, 1, 1)).reason_left_out is None
