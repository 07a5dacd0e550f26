import csv

import matplotlib.image as images
import pytest

from mlit.project.weights_table import COLUMNS
from mlit.report.weights_figure import write_weights_figure


def rows(series, places):
    for number, name in enumerate(series):
        yield (name, "series", "", "", "", 0.9 - 0.1 * number, 0.02, -10.0 * number, 5, "", "", "")
        for tilt in range(5):
            yield (name, "tilt", tilt + 1, 3.0 * tilt, 15.0 * tilt - 30, 0.8, 0.05, -30.0 * tilt, 20, "", "", "")
        for place in range(places):
            yield (name, "place", place + 1, "", "", 1.0, 0.1, 0.0, 10, "", "", "")


@pytest.mark.parametrize(("series", "places"), [(["A"], 0), (["A", "B"], 4), ([f"S{i}" for i in range(12)], 0)])
def test_weights_are_drawn_for_any_number_of_series_and_places(tmp_path, series, places):
    with open(tmp_path / "weights.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows(series, places))
    path = write_weights_figure(tmp_path)
    assert path == tmp_path / "figures" / "weights.png"
    pixels = images.imread(path)[..., :3]
    assert pixels.std() > 0.05
    assert pixels.shape[1] > (1400 if places else 1100)
