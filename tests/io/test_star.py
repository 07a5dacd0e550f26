import numpy as np
import pandas as pd
import pytest
import starfile

from mlit.errors import InputError
from mlit.io.star import column_numbers, read_star, write_star
from tests.support import shared_path

EXAMPLE = """# version 50001

data_general

_rlnTomoSubTomosAre2DStacks                       1

# a comment

data_particles

loop_
_rlnTomoName #1
_rlnNote #2
_rlnCoordinateX #3
001 "two words" 1.5
1e5 'it"s' -2   # the end
"" a#b 3
"""


def test_values_stay_text_as_written(tmp_path):
    (tmp_path / "a.star").write_text(EXAMPLE)
    blocks = read_star(tmp_path / "a.star")
    assert list(blocks) == ["general", "particles"]
    assert blocks["general"].iloc[0].tolist() == ["1"]
    table = blocks["particles"]
    assert table["rlnTomoName"].tolist() == ["001", "1e5", ""]
    assert table["rlnNote"].tolist() == ["two words", 'it"s', "a#b"]
    np.testing.assert_array_equal(column_numbers(table, "rlnCoordinateX", "a"), [1.5, -2, 3])


def test_round_trip_keeps_every_value_and_kind_of_block(tmp_path):
    (tmp_path / "a.star").write_text(EXAMPLE)
    blocks = read_star(tmp_path / "a.star")
    write_star(tmp_path / "b.star", blocks)
    again = read_star(tmp_path / "b.star")
    assert list(again) == list(blocks)
    for name, table in blocks.items():
        pd.testing.assert_frame_equal(again[name], table)
        assert again[name].attrs == table.attrs


def test_other_programs_read_what_is_written(tmp_path):
    table = pd.DataFrame({"name": ["3", "001"], "value": [1.25, 1e-7], "count": [1, 2]})
    write_star(tmp_path / "a.star", {"": table})
    again = starfile.read(tmp_path / "a.star", always_dict=True)[""]
    np.testing.assert_allclose(again["value"], table["value"], rtol=1e-5)
    assert again["count"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "parts",
    [
        ("metadata", "warp_m", "m_import_run_data.star"),
        ("metadata", "relion5_empiar10164", "Polish_job030", "particles.first400.star"),
        ("metadata", "relion5_empiar10164", "Polish_job030", "optimisation_set.star"),
        ("metadata", "relion5_empiar10164", "PostProcess_job079", "postprocess.star"),
        ("metadata", "relion5_empiar10164", "CtfRefine_job027", "TS_01.star"),
    ],
)
def test_real_files_round_trip(tmp_path, parts):
    blocks = read_star(shared_path("data", *parts))
    write_star(tmp_path / "a.star", blocks)
    again = read_star(tmp_path / "a.star")
    assert list(again) == list(blocks)
    for name, table in blocks.items():
        pd.testing.assert_frame_equal(again[name], table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data_\nloop_\n_a #1\n_b #2\n1 2\n3\n", "line 6: 1 values where 2 are expected"),
        ("data_\nloop_\n_a #1\n1 2\n", "line 4: 2 values where 1 are expected"),
        ("hello\n", "line 1: text before the first data_ block"),
        ("# nothing\n", "holds no table"),
        ("data_a\n_x 1\ndata_a\n_x 2\n", "line 3: data_a is there twice"),
        ("data_a\nloop_\n_x #1\n_x #2\n", "line 4: column x is there twice"),
        ("data_a\n_x 1\nloop_\n_y #1\n2\n", "line 3: data_a holds two tables"),
        ("data_a\n_x\n", "line 2: 1 values where 2"),
    ],
)
def test_damaged_files_name_the_line(tmp_path, text, message):
    (tmp_path / "a.star").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_star(tmp_path / "a.star")
    assert str(tmp_path / "a.star") in str(caught.value)


def test_files_that_are_no_text(tmp_path):
    with pytest.raises(InputError, match="particle file not found"):
        read_star(tmp_path / "a.star", "particle file")
    (tmp_path / "a.star").write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        read_star(tmp_path / "a.star")
    (tmp_path / "a.star").write_bytes(b"data_\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        read_star(tmp_path / "a.star")
    with pytest.raises(InputError, match="is a folder"):
        read_star(tmp_path)


@pytest.mark.parametrize("text", ["nan", "x", "inf", "1,5", "<NA>", "1e300"])
def test_wrong_number_names_row_and_column(text):
    table = pd.DataFrame({"a": ["1", text]}, dtype=object)
    with pytest.raises(InputError, match=r"p\.star: row 2: a is '.*', which is not a usable number"):
        column_numbers(table, "a", "p.star")


def test_missing_column_and_unwritable_values(tmp_path):
    with pytest.raises(InputError, match=r"p\.star: has no column b"):
        column_numbers(pd.DataFrame({"a": ["1"]}), "b", "p.star")
    with pytest.raises(ValueError, match="cannot hold the number"):
        write_star(tmp_path / "a.star", {"": pd.DataFrame({"a": [np.nan]})})
    assert not list(tmp_path.iterdir())
