import numpy as np
import pytest
import torch

from mlit.errors import InputError
from mlit.geometry.rotations import rotvec_from_matrix
from mlit.simulation.config_errors import DeformationConfig
from mlit.simulation.config_sample import PicksConfig
from mlit.simulation.placement import (
    draw_poses,
    moving_poses,
    picked_poses,
    place_without_overlap,
    random_rotations,
)


def test_molecules_keep_their_distance_and_stay_in_the_box():
    extent = np.array([900.0, 800.0, 300.0])
    position = place_without_overlap(30, extent, 120.0, np.random.default_rng(0))
    distance = torch.cdist(torch.as_tensor(position), torch.as_tensor(position)) + 1e6 * torch.eye(30)
    assert distance.min() >= 120.0
    assert (np.abs(position) <= extent / 2).all()


@pytest.mark.parametrize("extent", [[300.0, 300.0, 100.0], [900.0, 900.0, -10.0]])
def test_a_box_that_is_too_small_is_named(extent):
    with pytest.raises(InputError, match=r"of 60 molecules fit; lower particles"):
        place_without_overlap(60, np.array(extent), 120.0, np.random.default_rng(0))


def test_rotations_are_uniform():
    rotation = random_rotations(20000, np.random.default_rng(1))
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).double().expand_as(rotation))
    assert torch.linalg.det(rotation).min() > 0.999
    assert rotation.mean(0).abs().max() < 0.02
    angle = rotvec_from_matrix(rotation).norm(dim=-1)
    assert float(angle.mean()) == pytest.approx(np.pi / 2 + 2 / np.pi, abs=0.02)


def test_picks_have_the_errors_asked_for():
    true = draw_poses(2000, 0, np.array([1e5] * 3), 0.0, np.zeros(3), np.random.default_rng(2))
    picked = picked_poses(true, PicksConfig(4.0, 3.0), np.random.default_rng(3))
    shift = picked.position_angstrom - true.position_angstrom
    turn = torch.rad2deg(rotvec_from_matrix(picked.rotation() @ true.rotation().mT))
    assert shift.std(0).tolist() == pytest.approx([4.0] * 3, rel=0.05)
    assert turn.std(0).tolist() == pytest.approx([3.0] * 3, rel=0.05)


def test_motions_have_the_sizes_asked_for_and_pass_the_middle():
    true = draw_poses(2000, 0, np.array([1e5] * 3), 0.0, np.zeros(3), np.random.default_rng(2))
    config = DeformationConfig(particle_motion_error_angstrom=6.0, particle_motion_error_deg=2.0)
    first, last = moving_poses(true, config, np.random.default_rng(3))
    turn = torch.rad2deg(rotvec_from_matrix(last.rotation() @ first.rotation().mT))
    assert (last.position_angstrom - first.position_angstrom).std(0).tolist() == pytest.approx([6.0] * 3, rel=0.05)
    assert turn.std(0).tolist() == pytest.approx([2.0] * 3, rel=0.05)
    torch.testing.assert_close((first.position_angstrom + last.position_angstrom) / 2, true.position_angstrom)
    assert float((last.euler_rad - first.euler_rad)[:, [0, 2]].abs().max()) < 2 * np.pi
    assert moving_poses(true, DeformationConfig(), np.random.default_rng(3)) == (true,)


def test_false_picks_come_last_and_are_no_molecules():
    true = draw_poses(10, 4, np.array([2000.0] * 3), 50.0, np.zeros(3), np.random.default_rng(2))
    assert true.false_pick.tolist() == [False] * 10 + [True] * 4
    assert len(true.molecules().position_angstrom) == 10
