"""CSV tables: what is written can be read back, and nothing is left where a row fails."""

import csv

import pytest

from mlit.io.csv_table import write_csv


def test_there_and_back(tmp_path):
    path = tmp_path / "new" / "table.csv"
    write_csv(path, ("name", "note"), [("TS_1", 'a, "b"'), ("TS_µ", 3)])
    with open(path, newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["name", "note"], ["TS_1", 'a, "b"'], ["TS_µ", "3"]]


def test_a_row_that_fails_leaves_the_old_table(tmp_path):
    def rows():
        yield (1,)
        raise ValueError("no second row")

    write_csv(tmp_path / "table.csv", ("number",), [(7,)])
    with pytest.raises(ValueError, match="no second row"):
        write_csv(tmp_path / "table.csv", ("number",), rows())
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
    assert (tmp_path / "table.csv").read_text(encoding="utf-8").split() == ["number", "7"]
