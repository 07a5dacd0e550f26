"""Work shared out over processes."""

from hypothesis import given
from hypothesis import strategies as st

from mlit.training.data import NO_SERIES, TiltSeriesDataModule
from mlit.training.shares import cost, shares


@given(st.lists(st.floats(0, 1e9), max_size=40), st.integers(1, 9))
def test_every_piece_is_in_one_share_and_none_is_long(costs, processes):
    found = shares(costs, processes)
    assert len(found) == processes
    assert sorted(piece for share in found for piece in share) == list(range(len(costs)))
    assert all(share == sorted(share) for share in found)
    load = [sum(costs[piece] for piece in share) for share in found]
    longest = max(costs, default=0.0)
    assert max(load) <= sum(costs) / processes + longest * (1 - 1 / processes) + 1e-6 * (1 + longest)
    if len(costs) <= processes:
        assert all(len(share) <= 1 or not any(costs[piece] for piece in share) for share in found)


def test_the_longest_goes_first_to_who_has_least():
    assert shares([3, 7, 5, 6, 4], 2) == [[0, 1, 4], [2, 3]]
    assert shares([1, 1, 1], 2) == [[0, 2], [1]]
    assert shares([2.0], 3) == [[0], [], []]


def test_cost_counts_what_a_pass_reads(small):
    series = small.series[0]
    assert cost(series, 10.0) == 8 * 7 * 100


def test_each_process_gets_its_share_and_one_without_series_a_batch_all_the_same(small, monkeypatch):
    data = TiltSeriesDataModule([small], 150.0)
    names = {}
    for rank in range(3):
        monkeypatch.setattr("mlit.training.ranks.count", lambda: 3)
        monkeypatch.setattr("mlit.training.ranks.rank", lambda rank=rank: rank)
        names[rank] = [batch.name for batch in data.train_dataloader()]
    assert names == {0: ["TS_01"], 1: ["TS_02"], 2: [""]}
    assert data.dataset[NO_SERIES].images is None
