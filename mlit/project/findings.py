"""What is wrong with a project, or worth a look: one line each, with the remedy."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from enum import Enum
from pathlib import Path

from mlit.io.csv_table import write_csv


class Severity(Enum):
    """How much a finding matters: an error spoils results, a warning may, a note is good to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    severity
        How much it matters.
    series
        The series that it is about; empty where it is about all.
    topic
        What was checked, in a word or two.
    finding
        What was found, in one line.
    remedy
        What to do about it.
    """

    severity: Severity
    series: str
    topic: str
    finding: str
    remedy: str

    def __str__(self) -> str:
        """One line for a person."""
        place = f"{self.series}: " if self.series else ""
        return f"{place}{self.topic}: {self.finding}; {self.remedy}"


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Sort: errors first; else as they are."""
    order = list(Severity)
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def write_findings(path: Path, findings: Iterable[Finding]) -> None:
    """Write a CSV table, one finding a row."""
    rows = ((severity.value, *texts) for severity, *texts in map(astuple, findings))
    write_csv(path, (field.name for field in fields(Finding)), rows)
