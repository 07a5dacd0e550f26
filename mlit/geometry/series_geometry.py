"""Where a particle appears in every tilt of a series, how it is turned there, and at which defocus."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.geometry.linear_grid import evaluate_volume_warp
from mlit.geometry.rotations import rotation_x, rotation_y, rotation_z
from mlit.geometry.tilt_grid import evaluate_tilt_grid, grid_at_tilts
from mlit.geometry.trajectory import normalised_dose

MICROMETRES_PER_ANGSTROM = 1e-4


class Projection(NamedTuple):
    """Particles as the tilt images see them.

    A named tuple, so that ``torch.func`` transforms pass through it.

    Attributes
    ----------
    xy_angstrom
        Position in the image, Å from its corner.
    defocus_um
        Defocus at the particle, positive for underfocus.
    """

    xy_angstrom: Float[Tensor, "particle tilt 2"]
    defocus_um: Float[Tensor, "particle tilt"]


def _zeros(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class SeriesGeometry:
    """Geometry of one tilt series in Warp's convention; float64, tilts in file order.

    Every tensor may carry gradients or forward-mode tangents, and :func:`dataclasses.replace` swaps single
    fields. Grids of one node stand for grids that a file lacks.

    Attributes
    ----------
    tilt_angle_rad, axis_angle_rad, axis_offset_angstrom
        Alignment of each tilt.
    dose
        Accumulated exposure, e/Å²; only its ranking between its extremes enters (time axis of the warp).
    defocus_um
        Defocus at the volume's centre, positive for underfocus.
    volume_size_angstrom, image_size_angstrom
        Sizes (x, y, z) and (x, y); centres are half of them.
    level_angle_x_rad, level_angle_y_rad
        Pre-tilt of the sample.
    depth_inverted
        Warp's AreAnglesInverted: changes the sign of depth in the defocus and nothing else.
    image_warp
        Image displacement (x, y) in Å, subtracted from positions; natural cubic splines.
    stage_angles_rad
        Corrections about x, y, z; enter orientations, not positions.
    volume_warp
        Sample displacement (x, y, z) in Å, added before the rotation; quadrilinear, first axis dose.
    magnification
        2×2 matrix on Fourier coordinates of particle images; kept here, not used in positions.
    size_rounding
        Factors (x, y) on final positions that account for binned images of rounded size.
    """

    tilt_angle_rad: Float[Tensor, "tilt"]
    axis_angle_rad: Float[Tensor, "tilt"]
    axis_offset_angstrom: Float[Tensor, "tilt 2"]
    dose: Float[Tensor, "tilt"]
    defocus_um: Float[Tensor, "tilt"]
    volume_size_angstrom: Float[Tensor, "3"]
    image_size_angstrom: Float[Tensor, "2"]
    level_angle_x_rad: Float[Tensor, ""] = field(default_factory=_zeros)
    level_angle_y_rad: Float[Tensor, ""] = field(default_factory=_zeros)
    depth_inverted: bool = False
    image_warp: Float[Tensor, "warp_t warp_y warp_x 2"] = field(default_factory=lambda: _zeros(1, 1, 1, 2))
    stage_angles_rad: Float[Tensor, "stage_t stage_y stage_x 3"] = field(default_factory=lambda: _zeros(1, 1, 1, 3))
    volume_warp: Float[Tensor, "dose_node volume_z volume_y volume_x 3"] = field(
        default_factory=lambda: _zeros(1, 1, 1, 1, 3)
    )
    magnification: Float[Tensor, "2 2"] = field(default_factory=lambda: torch.eye(2, dtype=torch.float64))
    size_rounding: Float[Tensor, "2"] = field(default_factory=lambda: 1 + _zeros(2))

    def __post_init__(self) -> None:
        """Check that all lists have one entry for each tilt."""
        for name in ("axis_angle_rad", "axis_offset_angstrom", "dose", "defocus_um"):
            if getattr(self, name).shape[0] != self.tilts:
                raise ValueError(f"{name} has {getattr(self, name).shape[0]} entries for {self.tilts} tilts")

    @property
    def tilts(self) -> int:
        """Number of tilts."""
        return self.tilt_angle_rad.shape[0]

    def to(self, device: torch.device | str) -> "SeriesGeometry":
        """Return a copy with all tensors on a device."""
        tensors = {key: value for key, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **{key: value.to(device) for key, value in tensors.items()})

    def tilt_matrices(self) -> Float[Tensor, "tilt 3 3"]:
        """Rotation from sample to image frame, ``Rz(axis) · Ry(-(tilt + level y)) · Rx(level x)``."""
        tilt = rotation_y(-(self.tilt_angle_rad + self.level_angle_y_rad))
        return rotation_z(self.axis_angle_rad) @ tilt @ rotation_x(self.level_angle_x_rad)

    def warp_volume(
        self, position: Float[Tensor, "particle 3"] | Float[Tensor, "particle tilt 3"]
    ) -> Float[Tensor, "particle tilt 3"]:
        """Positions after the volume warp, in Å from the volume's centre.

        The warp is taken at the position before it, and added in the frame of the sample.
        """
        centred = position - self.volume_size_angstrom / 2
        centred = centred if position.ndim == 3 else centred[:, None, :]
        shift = evaluate_volume_warp(self.volume_warp, position / self.volume_size_angstrom, normalised_dose(self.dose))
        return centred + shift

    def project(self, position: Float[Tensor, "particle 3"] | Float[Tensor, "particle tilt 3"]) -> Projection:
        """Image positions and defocus of particles in every tilt.

        Parameters
        ----------
        position
            (x, y, z) in Å from the volume's corner, one for all tilts or one for each.

        Returns
        -------
        Projection
            Image positions in Å from the image's corner, and defocus in µm.
        """
        rotated = torch.einsum("tij,ptj->pti", self.tilt_matrices(), self.warp_volume(position))
        straight = rotated[..., :2] + (self.axis_offset_angstrom + self.image_size_angstrom / 2)
        warp = evaluate_tilt_grid(self.image_warp, straight / self.image_size_angstrom)
        sign = -1.0 if self.depth_inverted else 1.0
        defocus = self.defocus_um + sign * MICROMETRES_PER_ANGSTROM * rotated[..., 2]
        return Projection((straight - warp) * self.size_rounding, defocus)

    def orient(
        self,
        rotation: Float[Tensor, "particle 3 3"] | Float[Tensor, "particle tilt 3 3"],
        position: Float[Tensor, "particle 3"] | Float[Tensor, "particle tilt 3"],
    ) -> Float[Tensor, "particle tilt 3 3"]:
        """Rotation from the reference to every tilt image.

        ``Rz · Ry · Rx`` of the stage angles, times the tilt matrix, times the particle's own rotation.

        Parameters
        ----------
        rotation
            Reference to sample frame (matrix of the particle's Euler angles).
        position
            (x, y, z) in Å from the volume's corner; matters where stage angles vary over the field.

        Returns
        -------
        Tensor
            Rotations, to be used as ``P(k) = V(Rᵀ k)``.
        """
        sample_to_image = self._stage_matrices(position) @ self.tilt_matrices()
        own = rotation if rotation.ndim == 4 else rotation[:, None]
        return sample_to_image @ own

    def _stage_matrices(self, position: Tensor) -> Float[Tensor, "particle_or_1 tilt 3 3"]:
        """Stage corrections; the particle axis has length 1 where they do not depend on the place."""
        if self.stage_angles_rad.shape[1:3] == (1, 1):
            angles = grid_at_tilts(self.stage_angles_rad, self.tilts)[None, :, 0, 0]
        else:
            fraction = position[..., :2] / self.volume_size_angstrom[:2]
            if fraction.ndim == 2:
                fraction = fraction[:, None].expand(-1, self.tilts, -1)
            angles = evaluate_tilt_grid(self.stage_angles_rad, fraction)
        x, y, z = angles.unbind(-1)
        return rotation_z(z) @ rotation_y(y) @ rotation_x(x)
