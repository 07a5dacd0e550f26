"""Judging weights against a truth that is written down."""

import csv
import json

import numpy as np
import pytest

from mlit.benchmark.main import main
from mlit.benchmark.weights_recovery import recovery, true_quality
from mlit.simulation.config_mapping import config_from_mapping
from mlit.simulation.simulate import simulate

SMALL = {
    "series": 2,
    "structure": {"diameter_angstrom": 100.0, "bead_spacing_angstrom": 12.0},
    "tilts": {"max_angle_deg": [40.0], "step_deg": [10.0]},
    "microscope": {"width": 64, "height": 64, "pixel_size_angstrom": 10.0},
    "sample": {"particles": 2, "thickness_angstrom": 300.0, "crowding": 0.0},
    "deformation": {"offset_angstrom": 10.0},
    "quality": {"series_amplitude": 0.5, "tilt_amplitude": 0.4, "tilt_bfactor_angstrom2": 200.0},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("judged") / "project"
    simulate(config_from_mapping(SMALL), root)
    return root


def write_table(run, project, error, scatter):
    """Write what a run would, with estimates that scatter about the truth."""
    series = json.loads((project / "truth/meta.json").read_text())["series"]
    rng, rows = np.random.default_rng(1), []
    for name, meta in series.items():
        true = true_quality(project, name, meta["quality"], 1 / 25)
        found = true + scatter * rng.normal(size=len(true))
        rows.append((name, "series", "", np.exp(found[1:].mean()), 0.01, 25))
        for tilt in range(1, len(true)):  # the first is not used
            rows.append((name, "tilt", tilt + 1, np.exp(found[tilt]), error * np.exp(found[tilt]), 25))
    run.mkdir()
    with open(run / "weights.csv", "w", newline="") as file:
        head = ("series", "kind", "number", "quality", "quality_error", "quality_at_angstrom")
        csv.writer(file).writerows([head, *rows])


def test_perfect_estimates_and_noise_are_told_apart(project, tmp_path):
    for name, error, scatter in (("good", 0.01, 0.0), ("bad", 0.3, 3.0)):
        write_table(tmp_path / name, project, error, scatter)
    good, bad = (recovery(project, tmp_path / name) for name in ("good", "bad"))
    assert good.tilts == pytest.approx(1)
    assert good.series == pytest.approx(1)
    assert good.tilts_at_best > 0.97
    assert good.tilt_spread > 0.2
    assert good.tilt_error_bar == pytest.approx(0.01)
    assert bad.tilts < 0.6
    assert bad.tilt_error > 1


def test_command_line_prints_and_refuses(project, tmp_path, capsys):
    write_table(tmp_path / "run", project, 0.1, 0.1)
    assert main(["weights", str(project), str(tmp_path / "run")]) == 0
    assert "tilts: rank correlation 0." in capsys.readouterr().out
    assert main(["weights", str(project), str(tmp_path)]) == 2
    assert "weights.csv: no such file" in capsys.readouterr().err
