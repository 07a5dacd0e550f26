"""Poses of particles."""

import math

import pytest
import torch

from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.deformation.trajectories import Trajectories
from mlit.geometry.rotations import euler_from_matrix, matrix_from_rotvec, rotvec_from_matrix
from tests.brute_force import rotations

PRIOR = PosePrior(5.0, 2.0, 3.0, 1.0)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_zero_is_the_start(particles):
    place, rotation = particles
    found = Poses(place, rotation, PRIOR).at(torch.zeros(5, 6, dtype=torch.float64))
    assert torch.allclose(found[0], place)
    assert torch.allclose(found[1], rotation)


def test_raw_values_are_in_units_of_the_prior(particles):
    place, rotation = particles
    raw = random(5, 6)
    position, turned = Poses(place, rotation, PRIOR).at(raw)
    assert torch.allclose(position - place, 5.0 * raw[:, :3])
    assert torch.allclose(turned, matrix_from_rotvec(raw[:, 3:] * math.radians(2.0)) @ rotation)


def test_widths_along_the_axes_of_the_particle(particles):
    """A membrane protein: kept at its height along its own z, free to slide and to turn about z."""
    place, rotation = particles
    poses = Poses(place, rotation, PosePrior([8.0, 8.0, 0.5], [1.0, 1.0, 20.0]))
    raw = random(5, 6)
    position, turned = poses.at(raw)
    own_shift = torch.einsum("pji,pj->pi", rotation, position - place)
    assert torch.allclose(own_shift, raw[:, :3] * torch.tensor([8.0, 8.0, 0.5]).double())
    own_turn = rotvec_from_matrix(rotation.transpose(1, 2) @ turned)
    assert torch.allclose(own_turn.rad2deg(), raw[:, 3:] * torch.tensor([1.0, 1.0, 20.0]).double())


def test_one_number_is_three_equal_ones(particles):
    """The prior of a deviation is the same, whichever axes the raw values refer to."""
    one, three = (Poses(*particles, PosePrior(*widths)) for widths in ((5.0, 2.0), ([5.0] * 3, [2.0] * 3)))
    raw = random(5, 6)
    position, turned = one.at(raw)
    own = torch.einsum("pji,pkj->pki", particles[1], raw.unflatten(1, (2, 3))).flatten(1)
    again = three.at(own)
    assert torch.allclose(again[0], position)
    assert torch.allclose(again[1], turned)
    assert torch.allclose(own.square().sum(), raw.square().sum())


def test_start_is_kept_in_double_precision_and_saved(particles):
    poses = Poses(particles[0].float(), particles[1].float(), PRIOR)
    state = poses.state_dict()
    assert set(state) == {"raw", "start_angstrom", "start_rotation", "frame_rotation", "frame_shift_angstrom"}
    assert all(value.dtype == torch.float64 for value in state.values())


def test_a_single_pose_is_a_sample(particles):
    poses, raw = Poses(*particles, PRIOR), random(5, 6)
    assert poses.samples == 1
    position, rotation = poses.at_samples(raw)
    assert torch.equal(position[:, 0], poses.at(raw)[0])
    assert torch.equal(rotation[:, 0], poses.at(raw)[1])


def test_differentiable_at_the_start(particles):
    poses = Poses(*particles, PRIOR)
    raw = torch.zeros(5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r: poses.at(r)[1], (raw,))


@pytest.mark.parametrize("prior", [PRIOR, PosePrior([5.0, 5.0, 1.0], 2.0, 3.0, 1.0)])
@pytest.mark.parametrize("samples", [1, 2, 3])
def test_following_the_reference_keeps_every_atom_in_its_place(samples, prior):
    """An atom at x of the old reference is at Q x + s of the new one; twice over, and for some particles only."""
    place, rotation = random(3, samples, 3, seed=1), rotations(3 * samples).reshape(3, samples, 3, 3)
    if samples == 1:
        poses = Poses(place[:, 0], rotation[:, 0], prior)
    else:
        time = torch.linspace(0, 1, 5, dtype=torch.float64)
        poses = Trajectories(place, euler_from_matrix(rotation), time, prior)
    raw, atom = random(3, 6 * samples, seed=2), random(3, seed=3) * 30
    motions = [(q, s) for q, s in zip(rotations(2, seed=5), random(2, 3, seed=6) * 10, strict=True)]
    which = torch.tensor([True, False, True])
    before = poses.at_samples(raw)
    for turn, shift in motions:
        poses.follow(which, turn, shift)
    after = poses.at_samples(raw)
    moved = atom
    for turn, shift in motions:
        moved = turn @ moved + shift
    expected = before[0] + before[1] @ atom
    assert torch.allclose((after[0] + after[1] @ moved)[which], expected[which])
    assert torch.allclose(after[0][1], before[0][1])
    assert torch.allclose(after[1][1], before[1][1])
