"""Differences in the strength of the signal of simulated images."""

import json

import numpy as np
import pytest
import torch

from mlit.errors import InputError
from mlit.likelihood.signal_weights import double_angle
from mlit.optics.ctf import ctf, wrapped_phase_aberration
from mlit.simulation.config_images import QualityConfig
from mlit.simulation.config_mapping import config_from_mapping
from mlit.simulation.globular import generate_globular
from mlit.simulation.image_formation import particle_image
from mlit.simulation.quality import draw_quality
from mlit.simulation.simulate import simulate
from mlit.simulation.splat import PatchGrid
from mlit.simulation.transfer import transfer_of_tilt
from tests.brute_force import plain_optics


def test_nothing_is_asked_for_and_nothing_differs():
    quality = draw_quality(QualityConfig(), 5, np.random.default_rng(1), np.random.default_rng(2))
    assert [quality.of_tilt(tilt) for tilt in range(5)] == [(1.0, 0.0, (0.0, 0.0))] * 5
    places = quality.at_places(torch.rand(9, 2, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(places, torch.tensor([1.0, 0.0]).double().expand(9, 2))


def test_strength_is_drawn_as_asked_for():
    rng = np.random.default_rng(2)
    config = QualityConfig(0.3, 50.0, 0.2, 80.0, 70.0, (3, 2), 0.4, 90.0)
    drawn = [draw_quality(config, 40, rng, np.random.default_rng(7)) for _ in range(200)]
    assert np.std(np.log([q.series_amplitude for q in drawn])) == pytest.approx(0.3, rel=0.15)
    assert np.std(np.log([q.tilt_amplitude for q in drawn])) == pytest.approx(0.2, rel=0.05)
    assert np.mean([q.series_bfactor_angstrom2 for q in drawn]) == pytest.approx(-25, rel=0.15)
    tilts = np.concatenate([q.tilt_bfactor_angstrom2 for q in drawn])
    assert -80 <= tilts.min() < -79
    assert -1 < tilts.max() <= 0
    assert np.std([q.anisotropy_angstrom2 for q in drawn]) == pytest.approx(70, rel=0.05)
    assert all(np.array_equal(q.places, drawn[0].places) for q in drawn)
    other = np.stack([draw_quality(config, 2, rng, rng).places for _ in range(200)])
    assert other.shape == (200, 2, 3, 2)
    assert np.std(np.log(other[..., 0])) == pytest.approx(0.4, rel=0.1)
    assert np.mean(other[..., 1]) == pytest.approx(-45, rel=0.1)
    amplitude, bfactor, _ = drawn[0].of_tilt(3)
    assert amplitude == pytest.approx(drawn[0].series_amplitude * drawn[0].tilt_amplitude[3])
    assert bfactor == pytest.approx(drawn[0].series_bfactor_angstrom2 + drawn[0].tilt_bfactor_angstrom2[3])


def test_places_are_nodes_of_a_grid_with_x_fastest():
    config = QualityConfig(place_grid=(3, 2), place_amplitude=0.4, place_bfactor_angstrom2=90.0)
    quality = draw_quality(config, 1, np.random.default_rng(1), np.random.default_rng(2))
    corners = torch.tensor([[0.0, 0.0], [0.5, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 1.0], [1.0, 1.0]])
    torch.testing.assert_close(quality.at_places(corners), torch.from_numpy(quality.places).flatten(0, 1))


def test_signal_of_a_molecule_is_as_strong_as_its_place():
    structure = generate_globular(60.0, "C1", 10.0, np.random.default_rng(1))
    grid, one = PatchGrid(64, 64, 4.0), torch.eye(3, dtype=torch.float64)[None]
    place, defocus = torch.tensor([[128.0, 128.0]]).double(), torch.tensor([1.0]).double()
    transfer = transfer_of_tilt(plain_optics(2), 1, 0.0, torch.eye(2, dtype=torch.float64))
    plain = particle_image(structure, one, place, defocus, transfer, grid)
    found = particle_image(structure, one, place, defocus, transfer, grid, torch.tensor([[0.6, -90.0]]).double())
    decay = 0.6 * torch.exp(-22.5 * grid.frequency_xy().square().sum(-1)).float()
    expected = torch.fft.irfft2(torch.fft.rfft2(plain) * decay, s=(64, 64))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(plain.abs().max()))


def test_signal_of_a_tilt_is_as_strong_as_drawn():
    optics, grid, defocus = plain_optics(2), PatchGrid(32, 32, 4.0), torch.tensor([1.5], dtype=torch.float64)
    one = torch.eye(2, dtype=torch.float64)
    found = transfer_of_tilt(optics, 1, 0.0, one, 0.7, -60.0, (30.0, -50.0)).on_grid(grid, defocus)
    plane = grid.frequency_xy()
    plain = transfer_of_tilt(optics, 1, 0.0, one)
    gamma = wrapped_phase_aberration(plane, defocus[:, None], plain.optics)[:, 0]
    turned = double_angle(plane) @ torch.tensor([30.0, -50.0]).to(plane)
    expected = ctf(gamma) * 0.7 * torch.exp(-15 * plane.square().sum(-1) + turned / 4).float()
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-5)


def test_negative_spread_is_refused():
    with pytest.raises(InputError, match=r"simulation\.quality\.tilt_amplitude must be zero or more"):
        QualityConfig(tilt_amplitude=-0.1)
    with pytest.raises(InputError, match=r"simulation\.quality\.place_grid must be two counts from 2"):
        QualityConfig(place_grid=(3, 1))


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
