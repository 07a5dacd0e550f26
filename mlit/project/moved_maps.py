"""Map files, moved along with the poses of their particles."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.errors import InputError
from mlit.io.mrc import read_mrc_header, write_mrc
from mlit.maps.filters import cosine_step
from mlit.maps.mask import radius_from_centre
from mlit.maps.rigid_motion import RigidMotion, move_map
from mlit.project.half_map_files import read_cubic

EDGE = 0.1  # of the box: width of the soft edge of the sphere that is turned


def move_map_file(source: Path, target: Path, motion: RigidMotion) -> None:
    """Write a map or mask after a rigid motion, on the same grid.

    Raises
    ------
    InputError
        If the file cannot be used, or does not say its pixel size.
    """
    header = read_mrc_header(source)
    pixel = header.pixel_size_angstrom
    if not pixel:
        raise InputError(f"{source}: the header has no pixel size; write it there")
    write_mrc(target, moved_in_box(read_cubic(source), motion, pixel).numpy(), pixel, header)


def moved_in_box(
    volume: Float[Tensor, "z y x"], motion: RigidMotion, pixel_size_angstrom: float
) -> Float[Tensor, "z y x"]:
    """Map after a rigid motion; what comes from beyond the box is 0.

    Where it is turned, what lies beyond the sphere inside the box is taken away first, with a soft edge: noise in the
    corners would come back on the other side and ring through the whole map. What lay between 0 and 1, as a mask does,
    is brought back there, and a binary mask is made binary again.
    """
    n = volume.shape[-1]
    held = volume
    if motion.angle_rad > 0:
        held = volume * cosine_step(radius_from_centre(n, 1.0), (0.5 - EDGE / 2) * n, EDGE * n)
    moved = move_map(held, motion, pixel_size_angstrom) * _from_inside(n, motion, pixel_size_angstrom)
    if bool(((volume == 0) | (volume == 1)).all()):
        return (moved > 0.5).to(volume)
    return moved.clamp(0, 1) if float(volume.min()) >= 0 and float(volume.max()) <= 1 else moved


def _from_inside(n: int, motion: RigidMotion, pixel_size_angstrom: float) -> Float[Tensor, "z y x"]:
    """1 where a voxel was in the box before the motion, and 0 elsewhere."""
    axis = (torch.arange(n, dtype=torch.float64) - n // 2) * pixel_size_angstrom
    low, high = float(axis[0]) - pixel_size_angstrom / 2, float(axis[-1]) + pixel_size_angstrom / 2
    inside = torch.ones(n, n, n, dtype=torch.bool)
    back = motion.inverse()
    for turn, shift in zip(back.rotation, back.shift_angstrom, strict=True):
        x, y, z = (turn[:, None] * axis).float()
        was = x + y[:, None] + z[:, None, None] + float(shift)
        inside &= (was >= low) & (was <= high)
    return inside.float()
