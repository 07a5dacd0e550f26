"""The list of what a run does not believe."""

import csv
import math

import pytest
import torch

from mlit.likelihood.credence import Credence
from mlit.project.suspects import Suspect, count_kinds, find_bad_tilts, find_false_picks, write_suspects
from mlit.project.warp_project import load_warp_project


@pytest.fixture
def series(tiny):
    """Series B: particles in rows 3 to 5 of the table, the last of its four tilts switched off."""
    return load_warp_project(tiny.settings, tiny.particles).series[1]


def credence(particle=(9.0, 9.0, 9.0), tilt=(9.0,) * 4, lit=(1.0,) * 4):
    return Credence(*(torch.tensor(values, dtype=torch.float64) for values in (particle, tilt, lit)))


def amplitudes(*values):
    return torch.tensor(values, dtype=torch.float64)


EVEN = amplitudes(1.1, 0.9, 1.0, 0.0)


def test_nothing_is_listed_where_all_is_as_expected(series):
    assert find_false_picks(series, credence(), 0.05, "x") == []
    assert find_bad_tilts(series, credence(), EVEN) == []


def test_false_picks_are_named_by_their_row_in_the_table(series):
    found = find_false_picks(series, credence(particle=(8.0, -8.0, 2.0)), 0.05, "x")
    assert [(one.series, one.kind, one.number, one.evidence, one.species) for one in found] == [
        ("B", "false pick", 4, -8.0, "x")
    ]
    assert found[0].weight == pytest.approx(1 / (1 + math.exp(8) / 19))


def test_the_expected_share_of_false_picks_decides_about_doubtful_ones(series):
    doubtful = credence(particle=(-1.0, 9.0, 9.0))
    assert [len(find_false_picks(series, doubtful, share, "x")) for share in (0.0, 0.05, 0.5)] == [0, 0, 1]


def test_tilts_are_weak_against_the_median_of_those_in_use(series):
    found = find_bad_tilts(series, credence(), amplitudes(1.2, 0.3, 0.8, 0.0))
    assert [(one.kind, one.number) for one in found] == [("weak tilt", 2)]
    assert found[0].weight == pytest.approx((0.3 / 0.8) ** 2, rel=1e-3)


def test_a_tilt_that_shows_nothing_is_weak_at_any_amplitude(series):
    found = find_bad_tilts(series, credence(tilt=(9.0, 9.0, -30.0, -30.0)), EVEN)
    assert [(one.kind, one.number, one.evidence) for one in found] == [("weak tilt", 3, -30.0)]


def test_tilts_in_the_shade_are_listed_unless_they_are_switched_off(series):
    found = find_bad_tilts(series, credence(lit=(1.0, 0.6, 0.0, 0.0)), EVEN)
    assert [(one.kind, one.number, one.weight) for one in found] == [("shaded tilt", 2, 0.6), ("shaded tilt", 3, 0.0)]


def test_table_has_a_header_even_where_it_lists_nothing(tmp_path):
    write_suspects(tmp_path / "none.csv", [])
    assert (tmp_path / "none.csv").read_text().splitlines() == ["series,kind,number,evidence,weight,species"]


def test_table_and_counts(tmp_path):
    suspects = [Suspect("A", "false pick", 7, -12.345, 1e-9, "x"), Suspect("B", "weak tilt", 1, 0.5, 0.1234)]
    write_suspects(tmp_path / "some.csv", suspects)
    with open(tmp_path / "some.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0].values()) == ["A", "false pick", "7", "-12.35", "0.0000", "x"]
    assert list(rows[1].values()) == ["B", "weak tilt", "1", "0.50", "0.1234", ""]
    assert count_kinds(suspects) == {"false pick": 1, "shaded tilt": 0, "weak tilt": 1}
