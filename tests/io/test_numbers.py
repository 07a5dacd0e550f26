import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlit.errors import InputError
from mlit.io.numbers import (
    LARGEST,
    format_number,
    parse_bool,
    parse_integer,
    parse_number,
    parse_numbers,
    parse_positive,
)


@given(st.floats(min_value=-LARGEST, max_value=LARGEST))
def test_written_numbers_read_back_exactly(value):
    text = format_number(value)
    assert "," not in text
    assert parse_number(text, "x") == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_never_written(value):
    with pytest.raises(ValueError, match="cannot hold"):
        format_number(value)


@pytest.mark.parametrize("text", ["abc", "1,5", "nan", "inf", "-Infinity", "1_0", "", "  ", None, "1e999", "-1e300"])
def test_wrong_numbers_name_their_place(text):
    with pytest.raises(InputError, match=r"^file: key ") as caught:
        parse_number(text, "file: key")
    assert "\n" not in str(caught.value)


def test_decimal_comma_gets_a_hint():
    with pytest.raises(InputError, match="decimals with a point"):
        parse_number("1,5", "file")


def test_other_kinds():
    assert parse_integer("3.0", "x") == 3
    assert parse_bool(" true ", "x") is True
    assert parse_bool("0", "x") is False
    assert parse_numbers("1, 2.5", 2, "x") == (1.0, 2.5)
    with pytest.raises(InputError, match="whole number"):
        parse_integer("2.5", "x")
    with pytest.raises(InputError, match="above zero"):
        parse_positive("0", "x")
    with pytest.raises(InputError, match="above zero"):
        parse_positive("-1.5", "x")
    with pytest.raises(InputError, match="True or False"):
        parse_bool("maybe", "x")
    with pytest.raises(InputError, match="3 numbers"):
        parse_numbers("1, 2", 3, "x")
