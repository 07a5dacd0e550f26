import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from mlit.geometry.rotations import (
    euler_axes,
    euler_from_matrix,
    matrix_from_euler,
    matrix_from_rotvec,
    nearest_rotation,
    rotation_x,
    rotation_y,
    rotation_z,
    rotvec_from_matrix,
    zyx_from_matrix,
)

angles = st.floats(-7, 7)
triples = st.tuples(angles, angles, angles)
IDENTITY = torch.eye(3, dtype=torch.float64)


def tensor(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def assert_rotation(matrix: torch.Tensor) -> None:
    torch.testing.assert_close(
        matrix @ matrix.mT, torch.eye(3, dtype=torch.float64).expand_as(matrix), rtol=0, atol=1e-12
    )
    torch.testing.assert_close(
        torch.linalg.det(matrix), torch.ones(matrix.shape[:-2], dtype=torch.float64), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(("rotation", "start", "end"), [(rotation_x, 1, 2), (rotation_y, 2, 0), (rotation_z, 0, 1)])
def test_elementary_rotations_are_right_handed(rotation, start, end):
    quarter = rotation(tensor(math.pi / 2))
    torch.testing.assert_close(quarter[:, start], IDENTITY[:, end], rtol=0, atol=1e-15)
    assert_rotation(rotation(torch.linspace(-4, 4, 9, dtype=torch.float64)))


def test_euler_matrix_is_that_of_relion():
    rot, tilt, psi = 0.3, 1.1, -0.7
    matrix = matrix_from_euler(tensor([rot, tilt, psi]))
    assert matrix[0, 2].item() == pytest.approx(-math.sin(tilt) * math.cos(psi))
    assert matrix[1, 2].item() == pytest.approx(math.sin(tilt) * math.sin(psi))
    assert matrix[2, 0].item() == pytest.approx(math.sin(tilt) * math.cos(rot))
    expected = math.cos(psi) * math.cos(tilt) * math.cos(rot) - math.sin(psi) * math.sin(rot)
    assert matrix[0, 0].item() == pytest.approx(expected)


@given(triples)
@settings(deadline=None)
def test_euler_round_trip(euler):
    matrix = matrix_from_euler(tensor(euler))
    assert_rotation(matrix)
    again = euler_from_matrix(matrix)
    assert 0 <= again[1] <= math.pi
    torch.testing.assert_close(matrix_from_euler(again), matrix, rtol=0, atol=1e-12)


@given(angles, angles, st.sampled_from([0.0, math.pi, 1e-15, 1e-13, 1e-9, 1e-6, math.pi - 1e-9, -math.pi]))
@settings(deadline=None)
def test_euler_round_trip_at_gimbal_lock(rot, psi, tilt):
    matrix = matrix_from_euler(tensor([rot, tilt, psi]))
    torch.testing.assert_close(matrix_from_euler(euler_from_matrix(matrix)), matrix, rtol=0, atol=1e-12)


def test_identity_has_zero_angles():
    torch.testing.assert_close(euler_from_matrix(IDENTITY), torch.zeros(3, dtype=torch.float64))


@given(triples)
@settings(deadline=None)
def test_rotvec_matrix_is_the_matrix_exponential(rotvec):
    vector = tensor(rotvec)
    matrix = matrix_from_rotvec(vector)
    assert_rotation(matrix)
    x, y, z = rotvec
    generator = tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    exponential = torch.from_numpy(expm(generator.numpy()))  # that of torch is 2e-11 off at some small angles
    torch.testing.assert_close(matrix, exponential, rtol=0, atol=1e-12)


@given(st.tuples(*[st.floats(-1, 1)] * 3), st.floats(0, math.pi))
@settings(deadline=None)
def test_rotvec_round_trip(axis, angle):
    vector = tensor(axis)
    norm = torch.linalg.vector_norm(vector)
    vector = vector / norm * angle if norm > 1e-3 else vector * 1e-6
    matrix = matrix_from_rotvec(vector)
    again = rotvec_from_matrix(matrix)
    torch.testing.assert_close(matrix_from_rotvec(again), matrix, rtol=0, atol=1e-12)
    if angle < math.pi - 1e-6:
        torch.testing.assert_close(again, vector, rtol=0, atol=1e-9)


@pytest.mark.parametrize("axis", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.6, 0.0, -0.8)])
def test_half_turns_have_a_logarithm(axis):
    matrix = matrix_from_rotvec(tensor(axis) * math.pi)
    again = rotvec_from_matrix(matrix)
    assert torch.linalg.vector_norm(again).item() == pytest.approx(math.pi)
    torch.testing.assert_close(matrix_from_rotvec(again), matrix, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [0.0, 1e-8, 0.0999, 0.1001, 0.5, 3.0])
def test_rotvec_gradients(scale):
    vector = (tensor([[0.6, 0.0, -0.8], [1 / 3, 2 / 3, 2 / 3]]) * scale).requires_grad_()
    assert torch.autograd.gradcheck(matrix_from_rotvec, vector)
    assert torch.autograd.gradgradcheck(matrix_from_rotvec, vector)
    assert torch.autograd.gradcheck(lambda v: rotvec_from_matrix(matrix_from_rotvec(v)), vector)


def test_euler_gradients():
    assert torch.autograd.gradcheck(matrix_from_euler, tensor([[0.3, 0.0, -0.7]]).requires_grad_())


def test_rotvec_under_forward_mode_and_vmap():
    vector, tangents = torch.zeros(5, 3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)

    def directional(tangent):
        return torch.func.jvp(matrix_from_rotvec, (vector,), (tangent.expand(5, 3),))[1]

    jacobian = torch.vmap(directional)(tangents)
    assert jacobian.shape == (3, 5, 3, 3)
    assert jacobian[2, 0, 1, 0] == 1
    assert jacobian[2, 0, 0, 1] == -1
    inverse = torch.vmap(rotvec_from_matrix)(IDENTITY.expand(4, 3, 3))
    torch.testing.assert_close(inverse, torch.zeros(4, 3, dtype=torch.float64))


def test_axes_of_euler_angles_are_those_of_a_small_change():
    euler = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    change = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    step = 1e-5
    turn = matrix_from_euler(euler + step * change) @ matrix_from_euler(euler - step * change).transpose(-1, -2)
    expected = (euler_axes(euler) @ change[..., None]).squeeze(-1)
    torch.testing.assert_close(rotvec_from_matrix(turn) / (2 * step), expected, atol=1e-8, rtol=1e-6)


def test_tilt_angles_from_matrix():
    angles = torch.rand(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 2.8 - 1.4
    x, y, z = angles.unbind(-1)
    torch.testing.assert_close(zyx_from_matrix(rotation_z(z) @ rotation_y(y) @ rotation_x(x)), angles)


def test_nearest_rotation():
    generator = torch.Generator().manual_seed(4)
    matrix = matrix_from_rotvec(torch.randn(20, 3, dtype=torch.float64, generator=generator))
    torch.testing.assert_close(nearest_rotation(matrix * 0.7), matrix)
    noisy = nearest_rotation(matrix + 0.4 * torch.randn(20, 3, 3, dtype=torch.float64, generator=generator))
    torch.testing.assert_close(torch.linalg.det(noisy), torch.ones(20, dtype=torch.float64))
    torch.testing.assert_close(noisy @ noisy.mT, torch.eye(3, dtype=torch.float64).expand(20, 3, 3))
