"""Differences in the strength of the signal of simulated images."""

import json

import numpy as np
import pytest
import torch

from mlit.errors import InputError
from mlit.optics.ctf import ctf, wrapped_phase_aberration
from mlit.simulation.config import QualityConfig
from mlit.simulation.config_mapping import config_from_mapping
from mlit.simulation.quality import draw_quality
from mlit.simulation.simulate import simulate
from mlit.simulation.splat import PatchGrid
from mlit.simulation.transfer import transfer_of_tilt
from tests.brute_force import plain_optics


def test_nothing_is_asked_for_and_nothing_differs():
    quality = draw_quality(QualityConfig(), 5, np.random.default_rng(1))
    assert [quality.of_tilt(tilt) for tilt in range(5)] == [(1.0, 0.0)] * 5


def test_strength_is_drawn_as_asked_for():
    rng = np.random.default_rng(2)
    drawn = [draw_quality(QualityConfig(0.3, 50.0, 0.2, 80.0), 40, rng) for _ in range(200)]
    assert np.std(np.log([q.series_amplitude for q in drawn])) == pytest.approx(0.3, rel=0.15)
    assert np.std(np.log([q.tilt_amplitude for q in drawn])) == pytest.approx(0.2, rel=0.05)
    assert np.mean([q.series_bfactor_angstrom2 for q in drawn]) == pytest.approx(-25, rel=0.15)
    tilts = np.concatenate([q.tilt_bfactor_angstrom2 for q in drawn])
    assert -80 <= tilts.min() < -79
    assert -1 < tilts.max() <= 0
    amplitude, bfactor = drawn[0].of_tilt(3)
    assert amplitude == pytest.approx(drawn[0].series_amplitude * drawn[0].tilt_amplitude[3])
    assert bfactor == pytest.approx(drawn[0].series_bfactor_angstrom2 + drawn[0].tilt_bfactor_angstrom2[3])


def test_signal_of_a_tilt_is_as_strong_as_drawn():
    optics, grid, defocus = plain_optics(2), PatchGrid(32, 32, 4.0), torch.tensor([1.5], dtype=torch.float64)
    one = torch.eye(2, dtype=torch.float64)
    found = transfer_of_tilt(optics, 1, 0.0, one, 0.7, -60.0).on_grid(grid, defocus)
    plane = grid.frequency_xy()
    plain = transfer_of_tilt(optics, 1, 0.0, one)
    gamma = wrapped_phase_aberration(plane, defocus[:, None], plain.optics)[:, 0]
    expected = ctf(gamma) * 0.7 * torch.exp(-15 * plane.square().sum(-1)).float()
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-5)


def test_negative_spread_is_refused():
    with pytest.raises(InputError, match=r"simulation\.quality\.tilt_amplitude must be zero or more"):
        QualityConfig(tilt_amplitude=-0.1)


def test_truth_names_the_strength_and_nothing_else_of_a_project_changes(tmp_path):
    small = {
        "series": 1,
        "structure": {"diameter_angstrom": 100.0, "bead_spacing_angstrom": 12.0},
        "tilts": {"max_angle_deg": [20.0], "step_deg": [10.0]},
        "microscope": {"width": 64, "height": 64, "pixel_size_angstrom": 10.0},
        "sample": {"particles": 2, "thickness_angstrom": 300.0, "crowding": 0.0},
        "deformation": {"offset_angstrom": 10.0},
    }
    simulate(config_from_mapping(small), tmp_path / "plain")
    simulate(config_from_mapping({**small, "quality": {"series_amplitude": 1.0}}), tmp_path / "weak")
    meta = json.loads((tmp_path / "weak/truth/meta.json").read_text())
    quality = meta["series"]["TS_01"]["quality"]
    assert quality["series_amplitude"] != 1
    assert quality["tilt_amplitude"] == [1.0] * 5
    for name in ("particles.star", "truth/warp/TS_01.xml", "warp_tiltseries/TS_01.xml"):
        assert (tmp_path / "plain" / name).read_text() == (tmp_path / "weak" / name).read_text()
    image = "warp_frameseries/average/TS_01_02.mrc"
    assert (tmp_path / "plain" / image).read_bytes() != (tmp_path / "weak" / image).read_bytes()
