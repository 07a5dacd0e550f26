import pytest

from mlit.io.series_names import series_key


@pytest.mark.parametrize(
    "written",
    [
        "TS_01",
        "TS_01.tomostar",
        " folder/TS_01.tomostar ",
        "a/b/TS_01.mrc.tomostar",
        "C:\\x\\TS_01.xml",
        "TS_01.st",
    ],
)
def test_one_series_under_many_names(written):
    assert series_key(written) == "TS_01"


@pytest.mark.parametrize("name", ["001", "3", "24aug01b.x_Position 20", "ts_01", ".mrc", "TS_01_10.00Apx"])
def test_names_that_stay(name):
    assert series_key(name) == name
