import torch

from mlit.training.ledger import SeriesLedger


def test_finds_what_was_recorded_in_the_same_epoch_only(tmp_path):
    ledger = SeriesLedger(tmp_path / "series")
    state = {"model": {"raw": torch.arange(3.0)}, "status": {"status": "improved", "passes": 3}}
    assert ledger.find("TS_1", 1) is None
    ledger.record("TS_1", 1, state)
    found = ledger.find("TS_1", 1)
    assert found is not None
    assert torch.equal(found["model"]["raw"], state["model"]["raw"])
    assert found["status"] == state["status"]
    assert ledger.find("TS_1", 2) is None
    assert ledger.find("TS_2", 1) is None


def test_the_last_record_counts_and_leaves_nothing_behind(tmp_path):
    ledger = SeriesLedger(tmp_path)
    for epoch in (1, 2):
        ledger.record("TS_1", epoch, {"epoch": epoch})
    assert ledger.find("TS_1", 1) is None
    assert ledger.find("TS_1", 2) == {"epoch": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["TS_1.pt"]
