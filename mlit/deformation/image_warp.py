"""Deformation of the image plane, a smooth field for each tilt."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.deformation.block import Block, per_tilt_columns
from mlit.deformation.imaging import Imaging
from mlit.deformation.prior import GaussianPrior, smooth_covariance
from mlit.geometry.spline import natural_spline_weights


class ImageWarp(Block):
    """Shift of the image content as a function of the position in the image, on a grid of splines per tilt.

    The constant part of the field is the alignment error of the whole tilt, the rest its local deformation;
    both have a prior width of their own, and the local part is smooth over the field.

    Parameters
    ----------
    imaging
        Starting imaging; a starting warp on another grid is resampled on the new nodes.
    grid
        Nodes along x and y. Where a starting warp has more, it keeps them: fewer could not hold it.
    shift_prior_angstrom
        Standard deviation of the shift of a whole tilt.
    warp_prior_angstrom
        Standard deviation of the local deformation.
    smoothness
        Correlation length of the local deformation as a fraction of the field.
    """

    name = "image_warp"
    unit = "angstrom"
    axes = ("tilt", "y", "x", "axis")

    def __init__(
        self,
        imaging: Imaging,
        grid: Sequence[int],
        shift_prior_angstrom: float,
        warp_prior_angstrom: float,
        smoothness: float,
    ) -> None:
        rows, columns = _fine_enough(grid, imaging.geometry.image_warp)
        tilts, nodes = imaging.geometry.tilts, rows * columns
        groups = torch.arange(tilts * nodes * 2).reshape(tilts, nodes, 2).transpose(1, 2).reshape(-1, nodes)
        common = shift_prior_angstrom / warp_prior_angstrom

        def covariance(log_widths: Float[Tensor, "3"]) -> Float[Tensor, "member member"]:
            shift, local, length = log_widths.exp()
            return local**2 * smooth_covariance((rows, columns), smoothness * length, common * shift / local)

        super().__init__(
            tilts * nodes * 2,
            per_tilt_columns(tilts, nodes * 2),
            GaussianPrior(groups, covariance, torch.zeros(3, dtype=torch.float64)),
        )
        self.shape = (tilts, rows, columns, 2)
        self.scale_angstrom = warp_prior_angstrom
        self.start = resample_grid(imaging.geometry.image_warp, self.shape[:3])

    def deform(self, imaging: Imaging, raw: Float[Tensor, " parameter"]) -> Imaging:
        """Add the field to the starting image warp."""
        nodes = self.start + raw.reshape(self.shape) * self.scale_angstrom
        return imaging.with_geometry(image_warp=nodes)

    @torch.no_grad()
    def take_over(self, other: Block) -> None:
        """Start from a warp on any grid, sampled at the nodes of this one."""
        assert isinstance(other, ImageWarp)
        field = resample_grid(other.start + other.physical(), self.shape[:3])
        self.raw.copy_(((field - self.start) / self.scale_angstrom).flatten())
        self.get_buffer("log_widths").copy_(other.get_buffer("log_widths"))

    def in_units(self, raw: Float[Tensor, " parameter"]) -> Float[Tensor, "tilt ynode xnode 2"]:
        """Deviations from the start in Å."""
        return raw.reshape(self.shape) * self.scale_angstrom


def _fine_enough(grid: Sequence[int], start: Float[Tensor, "t y x 2"]) -> tuple[int, int]:
    """Nodes along y and x, no fewer than those of a starting warp that is not zero throughout."""
    columns, rows = grid
    if not bool(start.any()):
        return rows, columns
    return max(rows, start.shape[1]), max(columns, start.shape[2])


def resample_grid(
    nodes: Float[Tensor, "t y x channel"], shape: tuple[int, int, int]
) -> Float[Tensor, "t2 y2 x2 channel"]:
    """Sample a spline grid at the nodes of another one, so that an existing solution is kept."""
    out = nodes
    for axis, count in enumerate(shape):
        old = out.shape[axis]
        if old == count:
            continue
        fractions = [i / (count - 1) for i in range(count)] if count > 1 else [0.5]
        weights = natural_spline_weights(old, nodes.new_tensor(fractions))
        out = torch.tensordot(weights, out.movedim(axis, 0), dims=1).movedim(0, axis)
    return out.contiguous()
