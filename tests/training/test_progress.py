"""What a run says on its way, in the log and on a terminal."""

import io
import logging
import re
import sys

import lightning
import pytest
from rich.console import Console

from mlit.training import progress as progress_module
from mlit.training.assembly import make_module
from mlit.training.progress import Progress
from mlit.training.progress_view import ONE_SERIES, ProgressView, State, has_terminal
from mlit.training.run import refine


@pytest.fixture
def run(config, caplog):
    """Return a function that refines the small project and returns the messages."""

    def refine_small(*words):
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="mlit"):
            refine(config(*words))
        return [record.getMessage() for record in caplog.records]

    return refine_small


def test_the_log_tells_stages_series_scores_and_time_left(run, caplog, capsys):
    messages = run()
    text = "\n".join(messages)
    fits = [message for message in messages if re.match(r"  TS_0\d \(\d of 2\) ", message)]
    assert [re.findall(r"\((\d) of 2\)", message)[0] for message in fits] == ["1", "2"] * 2
    assert all(re.search(r"about \d+ s left$", message) for message in fits)
    assert "reconstructing 2 series from the starting metadata" in text
    assert "iteration 1 of 2: poses, image_warp, stage_angles to" in text
    assert len(re.findall(r"held-out log-likelihood of an image: -?\d", text)) == 2
    assert {getattr(record, ONE_SERIES, False) for record in caplog.records} == {False, True}
    assert capsys.readouterr() == ("", ""), "there is no terminal"


class FakeView:
    """Remembers what it is to show."""

    def __init__(self):
        self.shown, self.running = [], False

    def start(self):
        self.running = True

    def show(self, state):
        assert self.running
        self.shown.append(state)

    def stop(self):
        self.running = False


@pytest.fixture
def view(monkeypatch):
    view = FakeView()
    monkeypatch.setattr(progress_module, "has_terminal", lambda: True)
    monkeypatch.setattr(progress_module, "ProgressView", lambda: view)
    return view


def test_a_terminal_shows_stage_count_and_score(run, view):
    run()
    assert not view.running
    stages = [state.stage for state in view.shown]
    for stage in ("reading", "adding TS_01", "fitting TS_02", "making maps"):
        assert stage in stages
    in_second = [state for state in view.shown if state.iteration == "iteration 2 of 2"]
    assert {state.total for state in in_second} == {2}
    assert [state.done for state in in_second if state.stage == "reading"] == [0, 1, 2]
    assert all(re.search(r"FSC 0.143 [\d.]+ Å, held-out -?[\d.]+", state.score) for state in in_second)
    first = [state.left for state in view.shown if state.iteration == "first maps"]
    assert first[-1].endswith("left in this iteration")
    assert re.fullmatch(r"about \d+ s left", in_second[-1].left)


def test_the_view_can_be_switched_off(run, view):
    run("callbacks.progress.live=false")
    assert view.shown == []


def test_an_error_gives_the_terminal_back(run, view, monkeypatch):
    def fail(*_):
        assert view.running
        raise ZeroDivisionError

    monkeypatch.setattr("mlit.training.module.RefinementModule._fit", fail)
    with pytest.raises(ZeroDivisionError):
        run()
    assert not view.running


class Terminal(io.StringIO):
    """Text that takes itself for a terminal."""

    def isatty(self):
        return True


def test_lines_of_series_give_way_to_the_view_and_come_back(monkeypatch):
    terminal, log_file = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", terminal)
    logger, root = logging.getLogger("mlit"), logging.getLogger()
    handlers = [logging.StreamHandler(terminal), logging.StreamHandler(log_file)]
    monkeypatch.setattr(root, "handlers", handlers)
    monkeypatch.setattr(logger, "level", logging.INFO)
    view = ProgressView(Console(file=terminal, force_terminal=True, width=150))
    view.start()
    view.show(State("iteration 1 of 2", "fitting TS_01", 3, 7, "about 9 s left", "FSC 0.143 9.10 Å"))
    logger.info("first of a series", extra={ONE_SERIES: True})
    logger.info("of all")
    view.stop()
    logger.info("second of a series", extra={ONE_SERIES: True})
    shown = re.sub(r"\x1b\[[\d;?]*\w", "", terminal.getvalue())
    assert "first of a series" not in shown
    assert "of all" in shown
    assert "second of a series" in shown
    assert re.search(r"iteration 1 of 2 .*3/7 series fitting TS_01 about 9 s left FSC 0.143 9.10 Å", shown)
    assert log_file.getvalue() == "first of a series\nof all\nsecond of a series\n"
    assert handlers[0].stream is terminal


@pytest.mark.parametrize(
    ("terminal", "term", "expected"), [(True, "xterm", True), (True, "dumb", False), (False, "xterm", False)]
)
def test_a_view_needs_a_terminal_that_can_move(monkeypatch, terminal, term, expected):
    monkeypatch.setattr(sys, "stdout", Terminal() if terminal else io.StringIO())
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert has_terminal() is expected


class OneOfSeveral(lightning.Trainer):
    """A trainer of which only this is asked: whether it is the first."""

    def __init__(self, is_first):
        self.is_first = is_first

    @property
    def is_global_zero(self):
        return self.is_first


def test_only_the_first_process_shows_a_view(small, config, view, monkeypatch):
    monkeypatch.setattr(progress_module, "images_to_do", lambda *_: {})
    module = make_module([small], config())
    for first in (False, True):
        Progress().on_train_start(OneOfSeveral(first), module)
        assert view.running is first
