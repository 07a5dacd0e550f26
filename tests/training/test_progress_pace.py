"""Time left, of work whose true length is known."""

import pytest

from mlit.training.progress_pace import Pace, duration

IMAGES = {"large": 3000, "small": 1000}
FIT, ADD, MAPS = 0.04, 0.001, 5.0  # seconds an image at 20 Å, seconds an image, seconds


def test_the_first_iteration_says_nothing_of_the_fits():
    pace = Pace(IMAGES, 3)
    pace.begin(0, None)
    assert pace.left() is None
    assert pace.left_in_iteration() is None
    pace.series("large", ADD * 3000, fitted=False)
    assert pace.left_in_iteration() == pytest.approx(ADD * 1000)
    assert pace.left() is None


def test_series_count_by_their_images():
    pace = Pace(IMAGES, 3)
    pace.begin(0, None)
    pace.series("large", ADD * 3000, fitted=False)
    pace.series("small", ADD * 1000, fitted=False)
    pace.end(MAPS)
    pace.begin(1, 20.0)
    assert pace.left() is None, "no fit is known yet"
    pace.series("large", FIT * 3000, fitted=True)
    assert pace.left() == pytest.approx(FIT * 1000 + MAPS + FIT * 4000 + MAPS)


def test_finer_fits_take_longer():
    pace = Pace(IMAGES, 3)
    pace.begin(1, 20.0)
    for name, images in IMAGES.items():
        pace.series(name, FIT * images, fitted=True)
    pace.end(MAPS)
    pace.begin(2, 10.0)
    assert pace.left() == pytest.approx(4 * FIT * 4000 + MAPS)


def test_the_latest_iteration_counts_as_soon_as_it_has_begun():
    pace = Pace(IMAGES, 3)
    for epoch, speed in ((1, 1.0), (2, 3.0)):
        pace.begin(epoch, 20.0)
        pace.series("large", speed * FIT * 3000, fitted=True)
    assert pace.left() == pytest.approx(3.0 * FIT * 1000)


def test_series_recalled_after_an_interruption_do_not_look_like_fits():
    pace = Pace(IMAGES | {"third": 1000}, 2)
    pace.begin(1, 20.0)
    pace.series("large", ADD * 3000, fitted=False)
    assert pace.left() is None
    pace.series("small", FIT * 1000, fitted=True)
    assert pace.left() == pytest.approx(FIT * 1000)


def test_a_series_without_images_is_no_example():
    pace = Pace(IMAGES, 2)
    pace.begin(1, 20.0)
    pace.series("large", 0.01, fitted=False, used=False)
    assert pace.left() is None
    assert pace.todo == {"small"}


def test_after_settling_one_reconstruction_is_left():
    pace = Pace(IMAGES, 5)
    pace.begin(0, None)
    pace.series("small", ADD * 1000, fitted=False)
    pace.begin(2, None, is_last=True)
    assert pace.left() == pytest.approx(ADD * 4000)


@pytest.mark.parametrize(("seconds", "text"), [(7.4, "7 s"), (600, "10 min"), (36000, "10.0 h")])
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text
