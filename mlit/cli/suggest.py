"""The nearest valid name to a misspelt one."""

from collections.abc import Iterable
from difflib import SequenceMatcher


def _similarity(wrong: str, valid: str) -> float:
    """Compare whole dotted names, and their last parts at a slight discount."""
    whole = SequenceMatcher(None, wrong, valid).ratio()
    last = SequenceMatcher(None, wrong.rpartition(".")[2], valid.rpartition(".")[2]).ratio()
    return max(whole, 0.95 * last)


def nearest(wrong: str, valid: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the most similar valid name, or None if all are too far off.

    Names may be dotted: ``diameter`` finds ``species.diameter``.
    """
    score, name = max(((_similarity(wrong.lower(), v.lower()), v) for v in valid), default=(0.0, ""))
    return name if score >= cutoff else None


def did_you_mean(wrong: str, valid: Iterable[str]) -> str:
    """Return ``"; did you mean NAME?"``, or nothing if no valid name is near."""
    name = nearest(wrong, valid)
    return f"; did you mean {name}?" if name else ""
