"""`mlit history`, `diff` and `revert`, as a person would type them."""

import re

import pytest


@pytest.fixture
def log(call, capsys):
    """Type words that succeed, and return what was said."""

    def said(*words):
        assert call(*words) == 0
        streams = capsys.readouterr()
        return streams.out + streams.err

    return said


def test_a_state_is_committed_compared_and_brought_back(log, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "weights.csv").write_text("1\n")
    first = re.findall(r"\* (r\w+)", log("history", "history.folder=run", "history.message=the first one"))
    (run / "weights.csv").write_text("2\n")
    assert "not committed: weights.csv" in log("history", "history.folder=run")
    log("history", "history.folder=run", "history.message=second")
    listed = log("history", "history.folder=run")
    assert "the first one" in listed
    assert "not committed: nothing" in listed
    assert "takes 0.0 MB" in listed
    assert "~ weights.csv" in log("diff", "history.folder=run", f"history.a={first[0]}")
    log("revert", "history.folder=run", f"history.to={first[0]}")
    assert (run / "weights.csv").read_text() == "1\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("history", "history.folder=nowhere"), "is no folder"),
        (("history", "history.folder=."), "has no history yet"),
        (("history", "history.folder=.", "history.message=x"), "holds no metadata"),
        (("revert", "history.folder=.", "history.to=rabcd"), "has no history yet"),
    ],
)
def test_wrong_input_is_refused(call, capsys, words, message):
    assert call(*words) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("mlit: ") == 1
