"""A tilt series as programs without deformations see it: rotations, shifts, and a path of each particle.

Positions in the images are kept exactly: what rotations and shifts cannot express becomes a motion of the particle.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mlit.geometry.rotations import nearest_rotation, rotvec_from_matrix
from mlit.geometry.series_geometry import MICROMETRES_PER_ANGSTROM, SeriesGeometry

_STIFFNESS = 0.05  # share of a tilt, in favour of the given position where the tilts hardly say anything


@dataclass(frozen=True, eq=False)
class RigidSeries:
    """A series in which every tilt turns and shifts the sample as a whole.

    A particle appears at ``(rotation (position + motion))_xy + shift``, from the centre of the image.

    Attributes
    ----------
    rotation, shift_angstrom
        Of every tilt.
    position_angstrom
        Of every particle, from the centre of the volume.
    motion_angstrom
        What is added to it, no longer than it must be; seen along the beam it is zero.
    orientation
        Reference to sample, of every particle.
    defocus_um
        At the centre of the volume, in every tilt.
    lost_angle_rad, lost_defocus_um
        How far orientations and defoci of single images are off.
    """

    rotation: Float[Tensor, "tilt 3 3"]
    shift_angstrom: Float[Tensor, "tilt 2"]
    position_angstrom: Float[Tensor, "particle 3"]
    motion_angstrom: Float[Tensor, "particle tilt 3"]
    orientation: Float[Tensor, "particle 3 3"]
    defocus_um: Float[Tensor, "tilt"]
    lost_angle_rad: Float[Tensor, "particle tilt"]
    lost_defocus_um: Float[Tensor, "particle tilt"]


def rigid_series(
    geometry: SeriesGeometry,
    position: Float[Tensor, "particle 3"] | Float[Tensor, "particle tilt 3"],
    rotation: Float[Tensor, "particle 3 3"] | Float[Tensor, "particle tilt 3 3"],
    centre_angstrom: Float[Tensor, "2"],
    use_tilt: Bool[Tensor, "tilt"],
) -> RigidSeries:
    """Express a series by rotations, shifts and paths of its particles.

    Parameters
    ----------
    geometry
        The series with all its deformations.
    position, rotation
        Poses of the particles, positions in Å from the corner of the volume.
    centre_angstrom
        Of the images, in Å from their corner, as the other program has it.
    use_tilt
        Tilts that decide; the others get values too.
    """
    views, seen = geometry.orient(rotation, position), geometry.project(position)
    turn, orientation = _common_orientation(views, rotation, use_tilt)
    target = seen.xy_angstrom - centre_angstrom
    start = position if position.ndim == 2 else position[:, use_tilt].mean(1)
    place, shift = _static(target, turn, start - geometry.volume_size_angstrom / 2, use_tilt)
    rest = target - shift - torch.einsum("tij,pj->pti", turn[:, :2], place)
    sign = -1.0 if geometry.depth_inverted else 1.0
    own_depth = sign * MICROMETRES_PER_ANGSTROM * torch.einsum("tj,pj->pt", turn[:, 2], place)
    defocus = (seen.defocus_um - own_depth).mean(0)
    return RigidSeries(
        rotation=turn,
        shift_angstrom=shift,
        position_angstrom=place,
        motion_angstrom=torch.einsum("tij,pti->ptj", turn[:, :2], rest),
        orientation=orientation,
        defocus_um=defocus,
        lost_angle_rad=rotvec_from_matrix(views @ (turn @ orientation[:, None]).transpose(-1, -2)).norm(dim=-1),
        lost_defocus_um=seen.defocus_um - own_depth - defocus,
    )


def _common_orientation(
    views: Float[Tensor, "particle tilt 3 3"], rotation: Tensor, use_tilt: Bool[Tensor, "tilt"]
) -> tuple[Float[Tensor, "tilt 3 3"], Float[Tensor, "particle 3 3"]]:
    """Rotations of tilts and of particles whose products are the views, as nearly as possible."""
    own = rotation if rotation.ndim == 3 else nearest_rotation(rotation[:, use_tilt].mean(1))
    turn = nearest_rotation((views @ own[:, None].transpose(-1, -2)).mean(0))
    back = turn[use_tilt].transpose(-1, -2) @ views[:, use_tilt]
    return turn, nearest_rotation(back.mean(1))


def _static(
    target: Float[Tensor, "particle tilt 2"],
    turn: Float[Tensor, "tilt 3 3"],
    start: Float[Tensor, "particle 3"],
    use_tilt: Bool[Tensor, "tilt"],
) -> tuple[Float[Tensor, "particle 3"], Float[Tensor, "tilt 2"]]:
    """Positions and shifts that explain most of where particles are seen."""
    rows = turn[:, :2]
    stiffness = _STIFFNESS * int(use_tilt.sum()) * torch.eye(3, dtype=turn.dtype)
    normal = torch.einsum("tai,taj->ij", rows[use_tilt], rows[use_tilt]) + stiffness
    shift = (target - torch.einsum("tij,pj->pti", rows, start)).mean(0)
    rest = target - shift - torch.einsum("tij,pj->pti", rows, start)
    moved = torch.einsum("tai,pta->pi", rows[use_tilt], rest[:, use_tilt])
    place = start + torch.linalg.solve(normal, moved.T).T
    return place, (target - torch.einsum("tij,pj->pti", rows, place)).mean(0)
