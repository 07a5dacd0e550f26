"""Lines of processes that are not the first."""

import logging

import pytest

from mlit.training import rank_log

LOG = logging.getLogger("mlit")


@pytest.fixture
def second(monkeypatch, tmp_path):
    """A process that Lightning has started as the second, with the log file that Hydra gives it."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    root.handlers[:] = [logging.FileHandler(tmp_path / name) for name in ("train_ddp_process_1.log", "mlit.log")]
    root.setLevel(logging.INFO)
    monkeypatch.setattr(rank_log, "is_first", lambda: False)
    yield tmp_path
    rank_log.forget()
    root.level, root.handlers[:] = level, handlers


def test_they_reach_the_log_once_and_as_they_were(second, caplog):
    rank_log.hold_back()
    rank_log.hold_back()
    LOG.info("3 series")
    rank_log.forget()
    LOG.warning("%s is left out", "TS_02")
    (line,) = rank_log.take()
    assert rank_log.take() == []
    assert [path.name for path in second.iterdir()] == ["mlit.log"]
    assert (second / "mlit.log").read_text() == ""
    logging.getLogger().handlers[:] = [caplog.handler]
    rank_log.say([line])
    assert caplog.record_tuples == [("mlit", logging.WARNING, "TS_02 is left out")]


def test_the_first_writes_its_own():
    before = logging.getLogger().handlers[:]
    rank_log.hold_back()
    assert logging.getLogger().handlers == before
