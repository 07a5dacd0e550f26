import numpy as np
import pandas as pd
import pytest

from mlit.errors import InputError
from mlit.io.half_sets import alternating_half_sets, half_sets

NAMES = np.array(["a", "b", "a", "a", "b", "c", "d"], dtype=object)


def test_assigned_half_sets_alternate_within_each_series_and_balance():
    half_set = alternating_half_sets(NAMES)
    np.testing.assert_array_equal(half_set[NAMES == "a"], [1, 2, 1])
    np.testing.assert_array_equal(half_set[NAMES == "b"], [2, 1])
    assert abs((half_set == 1).sum() - (half_set == 2).sum()) <= 1
    np.testing.assert_array_equal(alternating_half_sets(NAMES), half_set)


def test_half_sets_of_the_file_are_kept():
    table = pd.DataFrame({"rlnRandomSubset": list("1221112")}, dtype=object)
    np.testing.assert_array_equal(half_sets(table, NAMES, "p"), [1, 2, 2, 1, 1, 1, 2])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("1203112", r"p: row 3: rlnRandomSubset is 0; half sets are 1 and 2"),
        ("1223112", r"p: row 4: rlnRandomSubset is 3"),
        ("1111111", r"p: no particle is in half set 2 \(rlnRandomSubset\)"),
        ("2222222", r"p: no particle is in half set 1"),
    ],
)
def test_faults(values, message):
    with pytest.raises(InputError, match=message):
        half_sets(pd.DataFrame({"rlnRandomSubset": list(values)}, dtype=object), NAMES, "p")
