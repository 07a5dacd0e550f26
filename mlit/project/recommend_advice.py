"""One piece of advice."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Change = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Advice:
    """What to do next, and why.

    Attributes
    ----------
    what
        In a few words.
    why
        One sentence, with its figures.
    verb
        The command that does it; empty where a person has to look.
    words
        What is different from the command of the run.
    change
        A change of the model that the run itself shall judge, as in ``model.candidates``; None where there is none.
    """

    what: str
    why: str
    verb: str = "refine"
    words: tuple[str, ...] = ()
    change: Change | None = None
