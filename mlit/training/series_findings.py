"""What each process has found out about its series in an epoch, brought together in the first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlit.likelihood.weights_problem import SeriesSignal
from mlit.training import rank_log, ranks
from mlit.training.series_record import SeriesRecord


@dataclass(frozen=True)
class SeriesFindings:
    """What an epoch has found out about one series.

    Attributes
    ----------
    parameters
        State of its model.
    record
        Outcome of its fit.
    signal
        What its images say about weights; None where the epoch did not ask for it.
    """

    parameters: Mapping[str, Any]
    record: SeriesRecord
    signal: SeriesSignal | None


def gather_findings(mine: Mapping[str, SeriesFindings]) -> dict[str, SeriesFindings]:
    """Give the first process the findings of all others, by series, and log the lines that these have kept.

    The others get nothing, nor is there anything to get in a run of one process.
    """
    gathered: dict[str, SeriesFindings] = {}
    for found, lines in ranks.gather((mine, rank_log.take()))[1:]:
        rank_log.say(lines)
        gathered |= found
    return gathered
