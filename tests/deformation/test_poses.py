"""Poses of particles."""

import math

import pytest
import torch

from mlit.deformation.poses import Poses
from mlit.geometry.rotations import matrix_from_rotvec
from tests.brute_force import rotations


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_zero_is_the_start(particles):
    place, rotation = particles
    found = Poses(place, rotation, 5.0, 2.0).at(torch.zeros(5, 6, dtype=torch.float64))
    assert torch.allclose(found[0], place)
    assert torch.allclose(found[1], rotation)


def test_raw_values_are_in_units_of_the_prior(particles):
    place, rotation = particles
    raw = random(5, 6)
    position, turned = Poses(place, rotation, 5.0, 2.0).at(raw)
    assert torch.allclose(position - place, 5.0 * raw[:, :3])
    assert torch.allclose(turned, matrix_from_rotvec(raw[:, 3:] * math.radians(2.0)) @ rotation)


def test_start_is_kept_in_double_precision_and_saved(particles):
    poses = Poses(particles[0].float(), particles[1].float(), 5.0, 2.0)
    state = poses.state_dict()
    assert set(state) == {"raw", "start_angstrom", "start_rotation", "frame_rotation", "frame_shift_angstrom"}
    assert all(value.dtype == torch.float64 for value in state.values())


def test_a_trajectory_moves_as_one_body():
    place, rotation = random(3, 4, 3, seed=1), rotations(12).reshape(3, 4, 3, 3)
    raw = random(3, 6, seed=2)
    poses = Poses(place, rotation, 5.0, 2.0)
    position, turned = poses.at(raw)
    shift, turn = 5.0 * raw[:, :3], matrix_from_rotvec(raw[:, 3:] * math.radians(2.0))
    assert position.shape == (3, 4, 3)
    assert torch.allclose(position - place, shift[:, None].expand(-1, 4, -1))
    assert torch.allclose(turned @ rotation.transpose(-1, -2), turn[:, None].expand(-1, 4, -1, -1))


def test_differentiable_at_the_start(particles):
    poses = Poses(*particles, 5.0, 2.0)
    raw = torch.zeros(5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r: poses.at(r)[1], (raw,))


@pytest.mark.parametrize("trajectory", [False, True])
def test_following_the_reference_keeps_every_atom_in_its_place(trajectory):
    """An atom at x of the old reference is at Q x + s of the new one; twice over, and for some particles only."""
    place, rotation = random(3, 3, seed=1), rotations(3)
    if trajectory:
        place, rotation = random(3, 4, 3, seed=1), rotations(12).reshape(3, 4, 3, 3)
    poses, raw, atom = Poses(place, rotation, 5.0, 2.0), random(3, 6, seed=2), random(3, seed=3) * 30
    motions = [(q, s) for q, s in zip(rotations(2, seed=5), random(2, 3, seed=6) * 10, strict=True)]
    which = torch.tensor([True, False, True])
    before = poses.at(raw)
    for turn, shift in motions:
        poses.follow(which, turn, shift)
    after = poses.at(raw)
    moved = atom
    for turn, shift in motions:
        moved = turn @ moved + shift
    expected = before[0] + before[1] @ atom
    assert torch.allclose((after[0] + after[1] @ moved)[which], expected[which])
    assert torch.allclose(after[0][1], before[0][1])
    assert torch.allclose(after[1][1], before[1][1])
