"""Call the command line in this process, as a person would type it."""

import logging
import sys
from collections.abc import Callable, Iterator

import pytest

from mlit.cli.main import main
from mlit.cli.registry import Verb


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Callable[..., int]:
    """Return a function that types words after ``mlit`` in an empty folder and returns the exit code."""
    monkeypatch.chdir(tmp_path)

    def type_words(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["mlit", *words])
        try:
            return main()
        except SystemExit as error:
            return int(str(error.code))

    return type_words


@pytest.fixture
def run_instead(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable]:
    """Return a function that sets what every verb does; undoes Hydra's logging afterwards."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield lambda function: monkeypatch.setattr(Verb, "load", lambda self: function)
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.level, root.handlers[:] = level, handlers
