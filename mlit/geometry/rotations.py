"""Rotations: elementary, Euler angles and rotation vectors.

Matrices act on column vectors. Euler angles are RELION's (rot, tilt, psi) with
``E = Rz(-psi) · Ry(-tilt) · Rz(-rot)``: ``E`` takes vectors of the reference to the observer's frame.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def _from_rows(rows: list[list[Tensor]]) -> Float[Tensor, "... 3 3"]:
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def rotation_x(angle_rad: Float[Tensor, "..."]) -> Float[Tensor, "... 3 3"]:
    """Right-handed rotation about x, which takes y to z at 90 degrees."""
    c, s, zero = torch.cos(angle_rad), torch.sin(angle_rad), torch.zeros_like(angle_rad)
    one = torch.ones_like(angle_rad)
    return _from_rows([[one, zero, zero], [zero, c, -s], [zero, s, c]])


def rotation_y(angle_rad: Float[Tensor, "..."]) -> Float[Tensor, "... 3 3"]:
    """Right-handed rotation about y, which takes z to x at 90 degrees."""
    c, s, zero = torch.cos(angle_rad), torch.sin(angle_rad), torch.zeros_like(angle_rad)
    one = torch.ones_like(angle_rad)
    return _from_rows([[c, zero, s], [zero, one, zero], [-s, zero, c]])


def rotation_z(angle_rad: Float[Tensor, "..."]) -> Float[Tensor, "... 3 3"]:
    """Right-handed rotation about z, which takes x to y at 90 degrees."""
    c, s, zero = torch.cos(angle_rad), torch.sin(angle_rad), torch.zeros_like(angle_rad)
    one = torch.ones_like(angle_rad)
    return _from_rows([[c, -s, zero], [s, c, zero], [zero, zero, one]])


def matrix_from_euler(euler_rad: Float[Tensor, "... 3"]) -> Float[Tensor, "... 3 3"]:
    """Matrix of RELION's Euler angles.

    Parameters
    ----------
    euler_rad
        (rot, tilt, psi) in radians.

    Returns
    -------
    Tensor
        ``Rz(-psi) · Ry(-tilt) · Rz(-rot)``, reference frame to observer's frame.
    """
    rot, tilt, psi = euler_rad.unbind(-1)
    return rotation_z(-psi) @ rotation_y(-tilt) @ rotation_z(-rot)


def euler_axes(euler_rad: Float[Tensor, "... 3"]) -> Float[Tensor, "... 3 3"]:
    """Axes in the observer's frame about which each of the Euler angles turns, as columns (rot, tilt, psi).

    A small change ``d`` of the angles turns their matrix from the left by the rotation vector ``euler_axes @ d``. Where
    tilt is 0 or 180 degrees two of the axes coincide.
    """
    _, tilt, psi = euler_rad.unbind(-1)
    in_plane = rotation_z(-psi)
    rot_axis = (in_plane @ rotation_y(-tilt))[..., 2]
    psi_axis = torch.zeros_like(rot_axis)
    psi_axis[..., 2] = 1
    return -torch.stack([rot_axis, in_plane[..., 1], psi_axis], -1)


def euler_from_matrix(matrix: Float[Tensor, "... 3 3"]) -> Float[Tensor, "... 3"]:
    """RELION's Euler angles of rotation matrices, for writing files.

    ``psi`` is read after ``rot`` was undone, so that the angles give the matrix back everywhere, also where
    ``tilt`` is 0 or 180 degrees and only a combination of ``rot`` and ``psi`` is defined; ``rot`` is 0 there.
    Not meant to be differentiated.

    Parameters
    ----------
    matrix
        Proper rotations.

    Returns
    -------
    Tensor
        (rot, tilt, psi) in radians; rot and psi in [-π, π], tilt in [0, π].
    """
    sin_tilt = torch.hypot(matrix[..., 2, 0], matrix[..., 2, 1])
    locked = sin_tilt < 100 * torch.finfo(matrix.dtype).eps
    rot = torch.where(locked, 0.0, torch.atan2(matrix[..., 2, 1], matrix[..., 2, 0]))
    tilt = torch.atan2(sin_tilt, matrix[..., 2, 2])
    second_column = matrix[..., :, 1] * torch.cos(rot)[..., None] - matrix[..., :, 0] * torch.sin(rot)[..., None]
    psi = torch.atan2(second_column[..., 0], second_column[..., 1])
    return torch.stack([rot, tilt, psi], dim=-1)


def zyx_from_matrix(matrix: Float[Tensor, "... 3 3"]) -> Float[Tensor, "... 3"]:
    """Angles (x, y, z) in radians with ``Rz(z) · Ry(y) · Rx(x)``, as tilts and stage angles are written.

    y lies in [-π/2, π/2]. Not meant for views along the tilt axis, where x and z cannot be told apart.
    """
    y = torch.atan2(-matrix[..., 2, 0], torch.hypot(matrix[..., 2, 1], matrix[..., 2, 2]))
    x = torch.atan2(matrix[..., 2, 1], matrix[..., 2, 2])
    z = torch.atan2(matrix[..., 1, 0], matrix[..., 0, 0])
    return torch.stack([x, y, z], dim=-1)


def nearest_rotation(matrix: Float[Tensor, "... 3 3"]) -> Float[Tensor, "... 3 3"]:
    """Proper rotations that come closest to matrices, such as the mean of rotations that differ little."""
    left, _, right = torch.linalg.svd(matrix)
    sign = torch.ones_like(matrix[..., 0])
    sign[..., 2] = torch.linalg.det(left @ right)
    return (left * sign[..., None, :]) @ right


def _cross_matrix(vector: Float[Tensor, "... 3"]) -> Float[Tensor, "... 3 3"]:
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return _from_rows([[zero, -z, y], [z, zero, -x], [-y, x, zero]])


def matrix_from_rotvec(rotvec: Float[Tensor, "... 3"]) -> Float[Tensor, "... 3 3"]:
    """Exponential map: the rotation by ``|rotvec|`` radians about ``rotvec`` (Rodrigues' formula).

    ``sin θ / θ`` and ``(1 - cos θ) / θ²`` are taken from their power series in ``θ²`` for small angles, so
    that value and derivatives of any order are right at zero.
    """
    squared = (rotvec * rotvec).sum(-1)
    small = squared < 1e-2
    angle = torch.sqrt(torch.where(small, 1.0, squared))
    first_series = 1 + squared / -6 * (1 + squared / -20 * (1 + squared / -42 * (1 - squared / 72)))
    second_series = 0.5 * (1 + squared / -12 * (1 + squared / -30 * (1 + squared / -56 * (1 - squared / 90))))
    first = torch.where(small, first_series, torch.sin(angle) / angle)
    second = torch.where(small, second_series, 2 * (torch.sin(angle / 2) / angle) ** 2)
    cross = _cross_matrix(rotvec)
    identity = torch.eye(3, dtype=rotvec.dtype, device=rotvec.device)
    return identity + first[..., None, None] * cross + second[..., None, None] * (cross @ cross)


def _unit_quaternion(matrix: Float[Tensor, "... 3 3"]) -> Float[Tensor, "... 4"]:
    """Quaternion (w, x, y, z), w not negative.

    Each row of ``4 q qᵀ`` is linear in the matrix and parallel to ``q``; the row with the largest diagonal
    is well conditioned for every rotation and needs no square root of a vanishing number.
    """
    m = [[matrix[..., i, j] for j in range(3)] for i in range(3)]
    wx, wy, wz = m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]
    xy, xz, yz = m[1][0] + m[0][1], m[0][2] + m[2][0], m[2][1] + m[1][2]
    ww = 1 + m[0][0] + m[1][1] + m[2][2]
    xx = 1 + m[0][0] - m[1][1] - m[2][2]
    yy = 1 - m[0][0] + m[1][1] - m[2][2]
    zz = 1 - m[0][0] - m[1][1] + m[2][2]
    rows = [[ww, wx, wy, wz], [wx, xx, xy, xz], [wy, xy, yy, yz], [wz, xz, yz, zz]]
    outer = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    best = torch.stack([ww, xx, yy, zz], dim=-1).argmax(-1, keepdim=True)
    row = torch.take_along_dim(outer, best[..., None], dim=-2).squeeze(-2)
    unit = row / torch.linalg.vector_norm(row, dim=-1, keepdim=True)
    return torch.where(unit[..., :1] < 0, -unit, unit)


def rotvec_from_matrix(matrix: Float[Tensor, "... 3 3"]) -> Float[Tensor, "... 3"]:
    """Logarithm of rotations, angle in [0, π].

    Differentiable at the identity; at exactly 180 degrees the sign of the axis is arbitrary and the
    derivative one-sided.
    """
    quaternion = _unit_quaternion(matrix)
    scalar, vector = quaternion[..., 0], quaternion[..., 1:]
    squared = (vector * vector).sum(-1)
    small = squared < 1e-4
    norm = torch.sqrt(torch.where(small, 1.0, squared))
    series = 1 + squared * (1 / 6 + squared * (3 / 40 + squared * (5 / 112 + squared * 35 / 1152)))
    half_angle_ratio = torch.where(small, series, torch.atan2(norm, scalar) / norm)
    return 2 * half_angle_ratio[..., None] * vector
