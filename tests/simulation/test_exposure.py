import numpy as np
import pytest
import torch

from mlit.simulation.exposure import (
    BadTilt,
    beam_profile,
    count_electrons,
    draw_bad_tilts,
    electrons_per_pixel,
)


def test_ice_takes_more_of_the_beam_at_high_tilt(small_config):
    config = small_config()
    flat, steep = electrons_per_pixel(config, 1.0), electrons_per_pixel(config, 0.5)
    assert flat == pytest.approx(3.0 * 64 * np.exp(-400 / 3000))
    assert steep == pytest.approx(3.0 * 64 * np.exp(-800 / 3000))


def test_counts_are_poisson_and_repeatable():
    expected = torch.full((200, 200), 30.0)
    one, same, other = (count_electrons(expected, seed) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert float(one.mean()) == pytest.approx(30.0, rel=0.01)
    assert float(one.var()) == pytest.approx(30.0, rel=0.03)
    assert torch.equal(one, one.round())


def test_negative_expectation_counts_nothing():
    assert count_electrons(torch.full((4, 4), -1.0), 0).abs().max() == 0


def test_defects_block_half_or_nearly_all():
    assert beam_profile(None, 8, 8).min() == 1
    assert beam_profile(BadTilt(0, "dark", 0.0), 8, 8).max() < 0.05
    blocked = beam_profile(BadTilt(0, "blocked", 0.0), 64, 64)
    assert blocked[:, :16].max() < 0.05
    assert blocked[:, -16:].min() > 0.95


def test_bad_tilts_are_distinct_and_alternate():
    bad = draw_bad_tilts(5, 20, np.random.default_rng(0))
    assert [defect.kind for defect in bad] == ["blocked", "dark", "blocked", "dark", "blocked"]
    assert len({defect.tilt for defect in bad}) == 5
    assert draw_bad_tilts(0, 20, np.random.default_rng(0)) == ()
