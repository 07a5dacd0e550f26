"""The choice of a model by what it predicts: which blocks, and how fine."""

import copy
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from mlit.deformation.series_model import SeriesModel
from mlit.errors import InputError

LOG = logging.getLogger("mlit")
SURE = 2.0  # standard errors that something more must gain

Options = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Candidate:
    """A model that differs from the present one in one block.

    Attributes
    ----------
    block
        The block.
    change
        Arguments that differ.
    """

    block: str
    change: Mapping[str, Any]

    @property
    def label(self) -> str:
        """What it is called in logs and tables."""
        return " ".join(f"{self.block}.{key}={value}" for key, value in self.change.items())

    @property
    def leaves_out(self) -> bool:
        """Whether it is the model without the block."""
        return self.change.get("enabled") is False

    def apply(self, options: Options) -> dict[str, dict[str, Any]]:
        """Arguments of all blocks with the change made."""
        changed: dict[str, dict[str, Any]] = copy.deepcopy({name: dict(values) for name, values in options.items()})
        changed[self.block] |= self.change
        return changed


def candidates_from(entries: Sequence[Options]) -> list[Candidate]:
    """Read candidates as configs list them: ``{block: {argument: value}}``."""
    return [Candidate(block, dict(change)) for entry in entries for block, change in entry.items()]


def check_candidates(candidates: Sequence[Candidate], options: Options) -> None:
    """Raise for a candidate that changes nothing that there is.

    Raises
    ------
    InputError
        Naming the key.
    """
    for candidate in candidates:
        known = options.get(candidate.block)
        if known is None or candidate.block == "poses":
            blocks = ", ".join(name for name in options if name != "poses")
            raise InputError(f"model.candidates: there is no block {candidate.block!r}; blocks are {blocks}")
        for key in candidate.change:
            if key not in known:
                raise InputError(f"model.candidates: {candidate.block} has no {key!r}; it has {', '.join(known)}")


@dataclass(frozen=True)
class Evidence:
    """Gain of held-out log-likelihood over the present model, summed over images.

    Attributes
    ----------
    gain
        The sum.
    variance
        Sum of squares of the single gains: the variance of the sum, were there no gain.
    images
        Images compared.
    """

    gain: float = 0.0
    variance: float = 0.0
    images: int = 0

    def __add__(self, other: "Evidence") -> "Evidence":
        return Evidence(self.gain + other.gain, self.variance + other.variance, self.images + other.images)

    @property
    def error(self) -> float:
        """Standard error of the gain."""
        return math.sqrt(self.variance)

    def is_sure(self) -> bool:
        """Whether the gain is beyond chance."""
        return self.gain > SURE * self.error and self.images > 0


@dataclass(frozen=True)
class HeldOut:
    """Held-out log-likelihood of the images of a series under one model.

    Attributes
    ----------
    log_likelihood
        Of every image.
    seen
        Images that took part.
    """

    log_likelihood: Float[Tensor, "particle tilt"]
    seen: Bool[Tensor, "particle tilt"]

    def against(self, other: "HeldOut") -> Evidence:
        """Gain of another model on the images that took part in both fits."""
        gains = (other.log_likelihood - self.log_likelihood)[self.seen & other.seen]
        return Evidence(float(gains.sum()), float(gains.square().sum()), len(gains))


def decide(evidence: Mapping[str, Evidence], candidates: Sequence[Candidate]) -> list[Candidate]:
    """Choose the changes to make, at most one a block.

    What is added or made finer must predict held-out images better beyond chance. What is left out need not: a block
    that gains nothing goes.

    Parameters
    ----------
    evidence
        Of each candidate, by its label.
    candidates
        All of them.
    """
    chosen: dict[str, Candidate] = {}
    for candidate in candidates:
        found = evidence.get(candidate.label, Evidence())
        better = found.images > 0 and found.gain >= 0 if candidate.leaves_out else found.is_sure()
        before = chosen.get(candidate.block)
        if better and (before is None or found.gain > evidence[before.label].gain):
            chosen[candidate.block] = candidate
    return list(chosen.values())


@dataclass(frozen=True)
class ModelSelection:
    """Compares a few models in one iteration of a run.

    Attributes
    ----------
    options
        Arguments of the blocks of the present model.
    candidates
        Models to compare with it.
    build
        Makes the model of a series, by its name, from arguments.
    epoch
        When they are compared.
    """

    options: Options
    candidates: tuple[Candidate, ...]
    build: Callable[[str, Options], SeriesModel]
    epoch: int

    def model(self, name: str, changes: Sequence[Candidate], present: SeriesModel) -> SeriesModel:
        """Make the model of a series with some changes, starting from where the present one is."""
        options = self.options
        for change in changes:
            options = change.apply(options)
        model = self.build(name, options)
        model.take_over(present)
        return model

    def rivals(self, name: str, present: SeriesModel) -> list[tuple[Candidate, SeriesModel]]:
        """Models of a series to compare with the present one, each starting from where it is."""
        return [(candidate, self.model(name, [candidate], present)) for candidate in self.candidates]

    def choose(self, evidence: Iterable[Mapping[str, Evidence]]) -> list[Candidate]:
        """Choose by the evidence of all series together, for each candidate, and say so."""
        series = list(evidence)
        total = {c.label: sum((e.get(c.label, Evidence()) for e in series), Evidence()) for c in self.candidates}
        chosen = decide(total, self.candidates)
        _log_decision(total, chosen)
        return chosen


def _log_decision(evidence: Mapping[str, Evidence], chosen: Sequence[Candidate]) -> None:
    """Say what was compared and what follows."""
    taken = {candidate.label for candidate in chosen}
    for label, found in evidence.items():
        verdict = "taken" if label in taken else "not taken"
        LOG.info("  %s: held-out log-likelihood %+.1f ± %.1f: %s", label, found.gain, found.error, verdict)
