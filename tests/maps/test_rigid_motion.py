import math

import pytest
import torch

from mlit.fourier.centred import centred_rfftn
from mlit.geometry.rotations import matrix_from_euler, matrix_from_rotvec
from mlit.maps.rigid_motion import RigidMotion, move_map, move_poses

N, PIXEL = 48, 4.0


def motion(rotvec_deg, shift):
    rotvec = torch.tensor(rotvec_deg, dtype=torch.float64) * math.pi / 180
    return RigidMotion(matrix_from_rotvec(rotvec), torch.tensor(shift, dtype=torch.float64))


SMALL = motion([3.0, -5.0, 2.0], [4.0, -7.0, 2.5])


def moved(points, change):
    return points @ change.rotation.T + change.shift_angstrom


def same(first, second):
    torch.testing.assert_close(first.rotation, second.rotation, atol=1e-10, rtol=0)
    torch.testing.assert_close(first.shift_angstrom, second.shift_angstrom, atol=1e-9, rtol=0)


def test_composition_inverse_and_parts(molecule):
    other = motion([20.0, 10.0, -30.0], [1.0, 2.0, 3.0])
    torch.testing.assert_close(moved(molecule, SMALL.then(other)), moved(moved(molecule, SMALL), other))
    same(SMALL.then(SMALL.inverse()), RigidMotion.identity())
    third = other.part(3)
    same(third.then(third).then(third), other)
    assert other.angle_rad == pytest.approx(math.radians(math.sqrt(1400)))


@pytest.mark.parametrize("n", [47, 48])
@pytest.mark.parametrize(
    "change",
    [
        SMALL,
        motion([0.0, 0.0, 40.0], [0.0, 0.0, 0.0]),
        motion([0.0] * 3, [5.0, 6.0, 7.0]),
        motion([100.0, 60.0, 0.0], [0, 0, 2.0]),
    ],
)
def test_map_moves_as_its_points_do(molecule, render, change, n):
    points = molecule * 0.7
    volume = render(points, n, PIXEL, 7.0)
    expected = render(moved(points, change), n, PIXEL, 7.0)
    result = move_map(volume, change, PIXEL)
    assert (result - expected).abs().max() < 2e-3 * expected.max()


def test_no_motion_changes_nothing():
    volume = torch.randn(16, 16, 16)
    torch.testing.assert_close(move_map(volume, RigidMotion.identity(), 2.0), volume, atol=1e-5, rtol=0)


def test_moved_poses_put_every_point_where_it_was(molecule):
    euler = torch.rand(5, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 6
    rotation = matrix_from_euler(euler)
    position = torch.rand(5, 2, 3, dtype=torch.float64) * 1000
    new_position, new_rotation = move_poses(position, rotation, SMALL)
    before = torch.einsum("...ij,pj->...pi", rotation, molecule) + position[..., None, :]
    after = torch.einsum("...ij,pj->...pi", new_rotation, moved(molecule, SMALL)) + new_position[..., None, :]
    torch.testing.assert_close(after, before)


def projection(volume, rotation, position, frequency):
    """Projection along z of a posed map at frequencies (kx, ky) in 1/Å, by the defining sum over voxels."""
    n = volume.shape[0]
    axis = (torch.arange(n, dtype=torch.float64) - n // 2) * PIXEL
    k = torch.cat([frequency, torch.zeros(len(frequency), 1, dtype=torch.float64)], 1)
    q = k @ rotation
    x, y, z = (torch.exp(-2j * math.pi * q[:, i, None] * axis) for i in range(3))
    values = torch.einsum("zyx,pz,py,px->p", volume.to(torch.complex128), z, y, x)
    return values * torch.exp(-2j * math.pi * (k @ position))


def test_projections_stay_the_same(molecule, render):
    volume = render(molecule * 0.8, N, PIXEL, 7.0)
    turned = move_map(volume, SMALL, PIXEL)
    frequency = (torch.rand(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) - 0.5) * 0.08
    rotation = matrix_from_euler(torch.tensor([0.3, 1.1, -2.0], dtype=torch.float64))
    position = torch.tensor([12.0, -30.0, 8.0], dtype=torch.float64)
    before = projection(volume, rotation, position, frequency)
    new_position, new_rotation = move_poses(position, rotation, SMALL)
    after = projection(turned, new_rotation, new_position, frequency)
    torch.testing.assert_close(after, before, atol=1e-3 * float(before.abs().max()), rtol=0)
    wrong = projection(turned, rotation, position, frequency)
    assert (wrong - before).abs().max() > 0.05 * before.abs().max()


def test_fourier_form_of_a_shift():
    volume = torch.randn(16, 16, 16, dtype=torch.float64)
    change = motion([0.0] * 3, [3.0, -2.0, 5.0])
    k = torch.tensor([2, 3, 1]) / (16 * PIXEL)
    phase = torch.exp(-2j * math.pi * (k.double() @ change.shift_angstrom))
    shifted = centred_rfftn(move_map(volume, change, PIXEL), 3)
    torch.testing.assert_close(shifted[1, 3, 2], centred_rfftn(volume, 3)[1, 3, 2] * phase)
