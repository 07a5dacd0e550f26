"""Half maps that have drifted against each other."""

import math

import pytest
import torch

from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.geometry.map_symmetry import NO_SYMMETRY, Symmetry
from mlit.geometry.rotations import matrix_from_rotvec, rotvec_from_matrix
from mlit.maps.common_frame import common_frame, commuting
from mlit.maps.fsc import fourier_shell_correlation
from mlit.maps.map_alignment import align_maps
from mlit.maps.mask import MaskResult, spherical_mask
from mlit.maps.references import HalfMaps
from mlit.maps.rigid_motion import RigidMotion, move_map
from tests.brute_force import rotations

N, PIXEL, DIAMETER = 48, 4.0, 150.0
LIMIT = 12.0  # Å, somewhat coarser than where the noisy half maps below cease to agree


def motion(turn_deg, shift_angstrom):
    turn = torch.tensor(turn_deg, dtype=torch.float64) * math.pi / 180
    return RigidMotion(matrix_from_rotvec(turn), torch.tensor(shift_angstrom, dtype=torch.float64))


DRIFT = motion([0.9, -1.2, 0.6], [1.0, -0.8, 1.4])


def judged(first, second):
    mask = spherical_mask(N, PIXEL, DIAMETER, 20.0)
    return HalfMaps.judge(first, second, PIXEL, MaskResult(mask, "sphere", float(mask.mean())), 0)


def drifted(points, render, drift, noise=0.1, seed=0):
    """Noisy half maps of one molecule: the first moved back by half of a drift, the second forth."""
    half = drift.part(2)
    generator = torch.Generator().manual_seed(seed)
    volumes = []
    for part in (half.inverse(), half):
        volume = render(points @ part.rotation.T + part.shift_angstrom, N, PIXEL, 4.0)
        level = noise * volume[volume > 0.1 * volume.max()].std()
        volumes.append(volume + level * torch.randn(volume.shape, generator=generator))
    return volumes


def left_over(found, expected):
    """Angle (°) and shift (Å) by which a motion misses another."""
    difference = found.then(expected.inverse())
    return math.degrees(difference.angle_rad), float((found.shift_angstrom - expected.shift_angstrom).norm())


def along_z(length):
    return torch.tensor([0.0, 0.0, float(length)], dtype=torch.float64)


@pytest.fixture
def small(molecule):
    """Points of a molecule that stays inside the mask."""
    return molecule * 0.8


def test_halves_meet_midway(small, render):
    """Each is told to undo its own half of the drift; the error is that of one alignment, halved."""
    first, second = drifted(small, render, DRIFT)
    found = common_frame(judged(first, second), NO_SYMMETRY, DIAMETER)
    assert found is not None
    for part, expected in zip(found, (DRIFT.part(2), DRIFT.part(2).inverse()), strict=True):
        angle, shift = left_over(part, expected)
        assert angle < 0.04
        assert shift < 0.04
    angle, shift = left_over(found[0].then(found[1]), RigidMotion.identity())
    assert angle < 1e-8
    assert shift < 1e-8


def test_moved_halves_agree_better_and_need_no_second_move(small, render):
    first, second = drifted(small, render, DRIFT)
    found = common_frame(judged(first, second), NO_SYMMETRY, DIAMETER)
    assert found is not None
    moved = [move_map(volume, part, PIXEL) for volume, part in zip((first, second), found, strict=True)]
    before = fourier_shell_correlation(first, second)
    after = fourier_shell_correlation(moved[0], moved[1])
    assert (after - before)[8:15].mean() > 0.05
    assert common_frame(judged(*moved), NO_SYMMETRY, DIAMETER) is None
    truth = render(small, N, PIXEL, 4.0)
    for volume in moved:
        rest = align_maps(truth, volume, spherical_mask(N, PIXEL, DIAMETER, 20.0), PIXEL, LIMIT).motion
        assert math.degrees(rest.angle_rad) < 0.05
        assert rest.shift_angstrom.norm() < 0.05


@pytest.mark.parametrize("seed", range(4))
def test_halves_in_one_frame_are_left_alone(small, render, seed):
    first, second = drifted(small, render, RigidMotion.identity(), noise=0.3, seed=seed)
    assert common_frame(judged(first, second), NO_SYMMETRY, DIAMETER) is None


def fourfold(volume):
    """Average over quarter turns about the z axis through index n // 2."""
    turns = [volume]
    for _ in range(3):
        turns.append(torch.roll(turns[-1].transpose(1, 2).flip(2), 1, 2))
    return torch.stack(turns).mean(0)


@pytest.mark.parametrize("seed", range(6))
def test_copies_of_noise_by_symmetry_are_no_evidence_of_motion(small, render, seed):
    volumes = [fourfold(volume) for volume in drifted(small, render, RigidMotion.identity(), 0.6, seed)]
    assert common_frame(judged(*volumes), Symmetry.named("C4"), DIAMETER) is None


def test_noise_and_nothing_are_left_alone():
    generator = torch.Generator().manual_seed(1)
    first, second = torch.randn(2, N, N, N, generator=generator)
    assert common_frame(judged(first, second), NO_SYMMETRY, DIAMETER) is None
    assert common_frame(judged(torch.zeros(N, N, N), torch.zeros(N, N, N)), NO_SYMMETRY, DIAMETER) is None


def test_a_box_that_just_fits_is_enough(small, render):
    """The molecule's diameter and more does not fit into the box: all of it is used."""
    first, second = drifted(small, render, DRIFT)
    found = common_frame(judged(first, second), NO_SYMMETRY, 4 * DIAMETER)
    assert found is not None
    angle, shift = left_over(found[1], DRIFT.part(2).inverse())
    assert angle < 0.04
    assert shift < 0.04


def test_commuting_part_is_all_of_it_without_symmetry():
    part = commuting(DRIFT, NO_SYMMETRY)
    torch.testing.assert_close(part.rotation, DRIFT.rotation, atol=1e-9, rtol=0)
    torch.testing.assert_close(part.shift_angstrom, DRIFT.shift_angstrom)


@pytest.mark.parametrize("name", ["C2", "C3", "C7"])
def test_cyclic_groups_keep_what_goes_about_and_along_the_axis(name):
    part = commuting(DRIFT, Symmetry.named(name))
    expected = rotvec_from_matrix(DRIFT.rotation)[2]
    turn = rotvec_from_matrix(part.rotation)
    torch.testing.assert_close(turn, along_z(expected), atol=1e-9, rtol=0)
    torch.testing.assert_close(part.shift_angstrom, along_z(1.4), atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["C3", "C4", "D2", "O"])
def test_what_is_kept_commutes_with_every_operator(name):
    symmetry = Symmetry.named(name)
    part = commuting(DRIFT, symmetry)
    for operator in symmetry.point_group:
        turn = RigidMotion(operator, torch.zeros(3, dtype=torch.float64))
        one, other = turn.then(part), part.then(turn)
        torch.testing.assert_close(one.rotation, other.rotation, atol=1e-9, rtol=0)
        torch.testing.assert_close(one.shift_angstrom, other.shift_angstrom, atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", ["D2", "D5", "T", "O", "I"])
def test_groups_with_several_axes_allow_no_motion(name):
    part = commuting(DRIFT, Symmetry.named(name))
    assert part.angle_rad < 1e-9
    assert part.shift_angstrom.norm() < 1e-12


def test_symmetric_halves_move_along_their_axis_only(small, render):
    """A fourfold molecule, drifted in every way: what does not commute with the group stays."""
    symmetry = Symmetry.named("C4")
    points = (symmetry.point_group[:, None] @ small[:100, :, None]).squeeze(-1).reshape(-1, 3)
    found = common_frame(judged(*drifted(points, render, DRIFT)), symmetry, DIAMETER)
    assert found is not None
    turn = rotvec_from_matrix(found[0].rotation) * 180 / math.pi
    torch.testing.assert_close(turn, along_z(0.3), atol=0.04, rtol=0)
    assert turn[:2].norm() < 1e-10
    torch.testing.assert_close(found[0].shift_angstrom, along_z(0.7), atol=0.04, rtol=0)
    assert found[0].shift_angstrom[:2].norm() < 1e-10


def projection(volume, rotation, position, frequency):
    """Projection along z of a posed map at frequencies (kx, ky, 0) in 1/Å, by the defining sum over voxels."""
    axis = (torch.arange(N, dtype=torch.float64) - N // 2) * PIXEL
    x, y, z = (torch.exp(-2j * math.pi * along[:, None] * axis) for along in (frequency @ rotation).unbind(1))
    values = torch.einsum("zyx,px->zyp", volume.to(torch.complex128), x)
    values = torch.einsum("zyp,py,pz->p", values, y, z)
    return values * torch.exp(-2j * math.pi * (frequency @ position))


def test_particles_that_follow_see_what_they_saw(small, render):
    """Projections of the moved maps under the poses that followed equal those before, and no others do."""
    volumes = drifted(small, render, DRIFT, noise=0.0)
    found = common_frame(judged(*volumes), NO_SYMMETRY, DIAMETER)
    assert found is not None
    generator = torch.Generator().manual_seed(3)
    place = torch.rand(6, 3, generator=generator, dtype=torch.float64) * 500
    poses = Poses(place, rotations(6), PosePrior(5.0, 2.0))
    raw = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    half = torch.tensor([0, 1, 0, 1, 1, 0])
    plane = torch.cat([(torch.rand(40, 2, generator=generator) - 0.5) * 0.12, torch.zeros(40, 1)], 1).double()

    def seen(maps, poses):
        position, rotation = poses.at(raw)
        pairs = zip(half.tolist(), rotation, position, strict=True)
        return torch.stack([projection(maps[h], r, p, plane) for h, r, p in pairs])

    before = seen(volumes, poses)
    moved = [move_map(volume, part, PIXEL) for volume, part in zip(volumes, found, strict=True)]
    at_rest = seen(moved, poses)
    for number, part in enumerate(found):
        poses.follow(half == number, part.rotation, part.shift_angstrom)
    after = seen(moved, poses)
    for image in range(6):
        scale = before[image].norm()
        assert (after[image] - before[image]).norm() < 2e-3 * scale
        assert (at_rest[image] - before[image]).norm() > 0.02 * scale
