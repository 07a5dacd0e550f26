import csv
import dataclasses

import pytest
import torch

from mlit.likelihood.signal_quality import SignalQuality
from mlit.likelihood.signal_weights import SignalWeights
from mlit.likelihood.weights_estimate import WeightsEstimate
from mlit.project.warp_project import load_warp_project
from mlit.project.weights_table import normalised, write_weights


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def estimate(series, tilts, **more):
    weights = SignalWeights(series, -5.0, vector(*tilts), vector(-10, -20, -30, -40), **more)
    errors = SignalWeights(0.1 * series, 2.0, 0.1 * vector(*tilts), torch.full((4,), 7.0).double(), **more)
    quality = SignalQuality(1.2, 0.1, vector(0.5, 1.5, 1, 1), vector(0.1, 0.2, 0.3, 0.4), 0.05)
    return WeightsEstimate(SignalWeights(), weights, errors, quality)


@pytest.fixture
def series(tiny):
    return {s.name: s for s in load_warp_project(tiny.settings, tiny.particles).series}


def test_the_strongest_series_and_the_strongest_used_tilt_weigh_one(series):
    """Tilt 4 is not used and sets no standard."""
    found = normalised(series, {"A": estimate(3.0, (1, 2, 1, 9)), "B": estimate(1.5, (4, 2, 1, 1))})
    assert found["A"].in_files.series_amplitude == 1
    assert found["B"].in_files.series_amplitude == 0.5
    assert found["A"].in_files.tilt_amplitude.tolist() == [0.25, 0.5, 0.25, 2.25]
    assert found["B"].in_files.tilt_amplitude.tolist() == [1, 0.5, 0.25, 0.25]
    assert found["B"].errors.tilt_amplitude.tolist() == pytest.approx([0.1, 0.05, 0.025, 0.025])
    assert found["B"].errors.series_amplitude == pytest.approx(0.05)
    assert found["A"].in_files.series_bfactor_angstrom2 == -5


def test_a_row_for_each_series_used_tilt_and_place(series, tmp_path):
    anisotropy = torch.tensor([[0.0, 8.0]] * 4, dtype=torch.float64)
    places = torch.tensor([[1.0, -3.0], [0.9, -4.0]], dtype=torch.float64).reshape(1, 1, 2, 2)
    found = estimate(1.0, (1, 0.5, 0.7, 0.6), anisotropy_angstrom2=anisotropy, places=places)
    write_weights(tmp_path / "weights.csv", series, {"A": found, "B": estimate(0.4, (1, 1, 1, 1))})
    with open(tmp_path / "weights.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = [(row["series"], row["kind"]) for row in rows]
    assert kinds == [
        ("A", "series"),
        *[("A", "tilt")] * 3,
        *[("A", "place")] * 2,
        ("B", "series"),
        *[("B", "tilt")] * 3,
    ]
    tilt = rows[2]
    assert (tilt["number"], tilt["dose"], tilt["angle_deg"]) == ("2", "0", "0")
    assert (tilt["quality"], tilt["quality_error"]) == ("1.5", "0.2")
    assert {row["quality_at_angstrom"] for row in rows} == {"20", ""}
    assert (rows[0]["quality"], rows[0]["quality_error"], rows[5]["quality"]) == ("1.2", "0.1", "")
    assert (tilt["amplitude"], tilt["amplitude_error"]) == ("0.5", "0.05")
    assert (tilt["bfactor_angstrom2"], tilt["bfactor_error_angstrom2"]) == ("-20", "7")
    assert (tilt["anisotropy_angstrom2"], tilt["anisotropy_direction_deg"]) == ("8", "45")
    assert (rows[5]["number"], rows[5]["amplitude"], rows[5]["bfactor_angstrom2"]) == ("2", "0.9", "-4")
    assert rows[7]["anisotropy_angstrom2"] == ""


def test_what_was_found_stays_as_it_was(series):
    found = {"A": estimate(3.0, (1, 2, 1, 9))}
    before = dataclasses.replace(found["A"].in_files)
    normalised(series, found)
    assert found["A"].in_files.series_amplitude == before.series_amplitude
