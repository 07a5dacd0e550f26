"""Verbs: what they bring into the process."""

import gc

from mlit.cli.registry import find_verb


def test_what_a_verb_imports_is_left_out_of_collections() -> None:
    """Libraries stay to the end; looking through them again and again takes seconds."""
    before = gc.get_freeze_count()
    try:
        assert callable(find_verb("simulate").load())
        assert gc.get_freeze_count() > before
        assert gc.isenabled()
    finally:
        gc.unfreeze()
