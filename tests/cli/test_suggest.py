import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlit.cli.suggest import did_you_mean, nearest

NAMES = ["species.diameter", "species.name", "model.image_warp.grid", "output"]


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ("species.diamter", "species.diameter"),
        ("diameter", "species.diameter"),
        ("model.imagewarp.grid", "model.image_warp.grid"),
        ("OUTPUT", "output"),
        ("quux", None),
    ],
)
def test_nearest(wrong, name):
    assert nearest(wrong, NAMES) == name


def test_nothing_to_suggest_from():
    assert nearest("a", []) is None
    assert did_you_mean("a", []) == ""


@given(st.sampled_from(NAMES))
def test_a_valid_name_is_nearest_to_itself(name):
    assert nearest(name, NAMES) == name
