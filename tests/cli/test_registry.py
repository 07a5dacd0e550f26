"""Verbs: their examples, and what they bring into the process."""

import gc
import shlex

import pytest

from mlit.cli.composer import Composer
from mlit.cli.registry import VERBS, find_verb
from mlit.cli.validation import validated_overrides


def test_what_a_verb_imports_is_left_out_of_collections() -> None:
    """Libraries stay to the end; looking through them again and again takes seconds."""
    before = gc.get_freeze_count()
    try:
        assert callable(find_verb("simulate").load())
        assert gc.get_freeze_count() > before
        assert gc.isenabled()
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_shows_examples_that_compose(verb, call, capsys):
    assert call(verb, "--help") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("example: ")]
    assert len(lines) == 1 + len(VERBS[verb].more_examples)
    for line in lines:
        program, name, *words = shlex.split(line.removeprefix("example: "))
        assert (program, name) == ("mlit", verb)
        assert words
        validated_overrides(Composer(verb), words, multirun=False)
