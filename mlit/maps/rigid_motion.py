"""Rotate and shift a map as a rigid body, and take the particle poses along.

A motion moves the density at x, in Å from the centre of the box (index n // 2), to rotation · x + shift:
V'(x) = V(rotationᵀ (x − shift)), or V̂'(k) = exp(−2πi k · shift) V̂(rotationᵀ k). Axes are x, y, z.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.geometry.rotations import matrix_from_rotvec, rotvec_from_matrix

X, Y, Z = -1, -2, -3
LARGEST_STEP_RAD = math.radians(15)


@dataclass(frozen=True)
class RigidMotion:
    """Rotation about the centre of the box, then a shift; both float64.

    Attributes
    ----------
    rotation
        Proper rotation matrix.
    shift_angstrom
        x, y, z in Å.
    """

    rotation: Float[Tensor, "3 3"]
    shift_angstrom: Float[Tensor, "3"]

    @classmethod
    def identity(cls) -> "RigidMotion":
        """Motion that leaves everything in place."""
        return cls(torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))

    @property
    def angle_rad(self) -> float:
        """Angle of the rotation, 0 to π."""
        return float(rotvec_from_matrix(self.rotation).norm())

    def then(self, other: "RigidMotion") -> "RigidMotion":
        """Motion that does this one first and the other afterwards."""
        return RigidMotion(other.rotation @ self.rotation, other.rotation @ self.shift_angstrom + other.shift_angstrom)

    def inverse(self) -> "RigidMotion":
        """Motion that undoes this one."""
        return RigidMotion(self.rotation.T, -self.rotation.T @ self.shift_angstrom)

    def part(self, parts: int) -> "RigidMotion":
        """Motion that equals this one when done `parts` times over.

        With two parts, two half maps can meet midway: move the second by `part(2)`, the first by its inverse.
        """
        rotation = matrix_from_rotvec(rotvec_from_matrix(self.rotation) / parts)
        powers = [torch.eye(3, dtype=torch.float64)]
        for _ in range(parts - 1):
            powers.append(rotation @ powers[-1])
        return RigidMotion(rotation, torch.linalg.solve(torch.stack(powers).sum(0), self.shift_angstrom))


def displace(volume: Float[Tensor, "z y x"], axis: int, shift: Tensor) -> Float[Tensor, "z y x"]:
    """Shift every line along an axis by its own number of pixels (broadcast, size one along that axis)."""
    n = volume.shape[axis]
    shape = [1, 1, 1]
    shape[axis] = n // 2 + 1
    frequency = torch.fft.rfftfreq(n, device=volume.device, dtype=volume.dtype).reshape(shape)
    angle = -2 * math.pi * frequency * shift
    spectrum = torch.fft.rfft(volume, dim=axis) * torch.polar(torch.ones_like(angle), angle)
    return torch.fft.irfft(spectrum, n=n, dim=axis)


def rotate_plane(
    volume: Float[Tensor, "z y x"], first: int, second: int, angle_rad: float | Tensor
) -> Float[Tensor, "z y x"]:
    """Rotate by three shears in the plane of two axes, the first towards the second, about index n // 2.

    Every shear is an exact band-limited shift of lines (Unser, Thévenaz & Yaroslavsky 1995). A tensor, of length one
    along both axes, gives every plane its own angle.
    """
    angle = torch.as_tensor(angle_rad, dtype=torch.float64)
    along_first = -torch.tan(angle / 2).to(volume) * _from_centre(volume, second)
    along_second = torch.sin(angle).to(volume) * _from_centre(volume, first)
    volume = displace(volume, first, along_first)
    volume = displace(volume, second, along_second)
    return displace(volume, first, along_first)


def _from_centre(volume: Float[Tensor, "z y x"], axis: int) -> Tensor:
    """Distance in pixels from index n // 2 along an axis, of length one along the others."""
    n = volume.shape[axis]
    shape = [1, 1, 1]
    shape[axis] = n
    return (torch.arange(n, device=volume.device, dtype=volume.dtype) - n // 2).reshape(shape)


def move_map(volume: Float[Tensor, "z y x"], motion: RigidMotion, pixel_size_angstrom: float) -> Float[Tensor, "z y x"]:
    """Map after a rigid motion, by band-limited interpolation without loss of high frequencies.

    Rotations are done by shears, in steps of at most 15°, so the cost grows with the angle (nine passes of
    one-dimensional transforms each step). The box is periodic: what leaves it on one side comes back on the
    other, and content in its corners or beyond 0.8 of Nyquist is not reliable for large angles.
    """
    steps = max(1, math.ceil(motion.angle_rad / LARGEST_STEP_RAD))
    rotation = motion.part(steps).rotation
    about_y = math.asin(max(-1.0, min(1.0, float(rotation[0, 2]))))
    about_x = math.atan2(-float(rotation[1, 2]), float(rotation[2, 2]))
    about_z = math.atan2(-float(rotation[0, 1]), float(rotation[0, 0]))
    for _ in range(steps if motion.angle_rad > 0 else 0):
        volume = rotate_plane(volume, X, Y, about_z)
        volume = rotate_plane(volume, Z, X, about_y)
        volume = rotate_plane(volume, Y, Z, about_x)
    for axis, shift in zip((X, Y, Z), (motion.shift_angstrom / pixel_size_angstrom).to(volume), strict=True):
        volume = displace(volume, axis, shift)
    return volume


def move_poses(
    position_angstrom: Float[Tensor, "*particle 3"],
    rotation: Float[Tensor, "*particle 3 3"],
    motion: RigidMotion,
) -> tuple[Float[Tensor, "*particle 3"], Float[Tensor, "*particle 3 3"]]:
    """Poses that see the moved reference exactly as the given poses see the reference at rest.

    A particle's density is V(rotationᵀ (x − position)). With V' = V moved by (Q, d), the same density is
    V'(rotation'ᵀ (x − position')) for rotation' = rotation Qᵀ and position' = position − rotation' d.

    Parameters
    ----------
    position_angstrom
        Centres of particles, Å from the corner of the volume.
    rotation
        Matrices that map vectors of the reference to the volume, such as those of a particle's Euler angles.
    motion
        Of the reference.

    Returns
    -------
    New positions and rotations.
    """
    moved = rotation @ motion.rotation.T.to(rotation)
    return position_angstrom - moved @ motion.shift_angstrom.to(rotation), moved
