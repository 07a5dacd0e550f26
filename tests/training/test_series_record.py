"""What a run knows of a series survives a file, and an iteration that fits nothing."""

import dataclasses
import math

import pytest
import torch

from mlit.likelihood.credence import Credence
from mlit.likelihood.defocus_search import DefocusSearch
from mlit.likelihood.deviation import Deviation
from mlit.training.model_selection import Evidence
from mlit.training.series_record import SeriesRecord
from mlit.training.series_status import SeriesStatus


@pytest.fixture
def record():
    ones = torch.ones(3, dtype=torch.float64)
    return SeriesRecord(
        SeriesStatus("improved", 3, 1.0, 2.0, -5.0, 12, 20.0, Deviation(1, 2, 3), 0.5, Deviation(4, 5, 6)),
        0.5 * ones,
        Credence(torch.tensor([math.inf, 2.0]), ones, ones),
        {"poses": torch.eye(6)[None].repeat(2, 1, 1), "defocus": 0.1 * ones},
        DefocusSearch(torch.linspace(-1, 1, 3), torch.rand(3, 3), torch.tensor([0.0, 0.5, 0.0])),
        {"defocus.enabled=False": Evidence(1.0, 4.0, 7)},
        torch.rand(2, 3, dtype=torch.float64),
    )


def same(first, second):
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if dataclasses.is_dataclass(first):
        return same(vars(first), vars(second))
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    return first == second


def test_record_survives_a_file_of_tensors_and_plain_values(record, tmp_path):
    torch.save(record.as_mapping(), tmp_path / "record.pt")
    read = SeriesRecord.from_mapping(torch.load(tmp_path / "record.pt", weights_only=True))
    assert same(read, record)
    assert not same(dataclasses.replace(read, amplitude=2 * read.amplitude), record)


def test_an_iteration_without_a_fit_keeps_what_is_known(record):
    """Only what belongs to that iteration goes: passes, the search, and other models."""
    after = record.without_fit()
    assert (after.status.status, after.status.passes) == ("not fitted", 0)
    assert after.status.expected_error == record.status.expected_error
    assert same(after.errors, record.errors)
    assert after.search is None
    assert after.evidence == {}
