"""Deformation of the sample in the course of the exposure."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mlit.deformation.block import Block
from mlit.deformation.imaging import Imaging
from mlit.deformation.prior import GaussianPrior, smooth_covariance, walk_covariance
from mlit.geometry.linear_grid import linear_weights
from mlit.geometry.trajectory import normalised_dose


class VolumeWarp(Block):
    """Motion of the sample while it is exposed: a displacement that depends on the place in it and on the dose.

    The sample at the first dose is the one that the positions of the particles refer to, so the nodes there are held.
    From there on the motion is a random walk in dose, and smooth over the sample.

    Parameters
    ----------
    imaging
        Starting imaging. A starting warp on another grid is kept to the digit: the nodes become as many as it takes
        to hold it.
    grid
        Nodes along x, y, z and dose, at least two of the last.
    motion_prior_angstrom
        Standard deviation of the motion over the whole exposure, along each axis.
    smoothness
        Correlation length of the motion over the sample as a fraction of its larger side.
    """

    name = "volume_warp"
    unit = "angstrom"
    axes = ("dose", "z", "y", "x", "axis")

    def __init__(self, imaging: Imaging, grid: Sequence[int], motion_prior_angstrom: float, smoothness: float) -> None:
        geometry = imaging.geometry
        x_nodes, y_nodes, z_nodes, dose_nodes = grid
        wanted = (dose_nodes, z_nodes, y_nodes, x_nodes)
        shape = tuple(refined_count(old, new) for old, new in zip(geometry.volume_warp.shape, wanted, strict=False))
        nodes = shape[1] * shape[2] * shape[3]
        moving = shape[0] - 1
        members = torch.arange(moving * nodes * 3).reshape(moving * nodes, 3).T
        side = geometry.volume_size_angstrom
        extent = (side.flip(0) / side.max()).tolist()
        space = smooth_covariance(shape[1:], smoothness, common=0.0, extent=extent)
        dose = walk_covariance(torch.linspace(0, 1, shape[0], dtype=torch.float64)[1:], origin=0.0)
        super().__init__(
            members.numel(),
            _columns(shape[0], nodes * 3, normalised_dose(geometry.dose)),
            GaussianPrior.correlated(members, torch.kron(dose, space)),
        )
        self.shape = (moving, *shape[1:], 3)
        self.start = resample_linear(geometry.volume_warp, shape)
        self.scale_angstrom = motion_prior_angstrom

    def deform(self, imaging: Imaging, raw: Float[Tensor, " parameter"]) -> Imaging:
        """Add the motion to the starting volume warp."""
        motion = raw.reshape(self.shape) * self.scale_angstrom
        nodes = torch.cat([self.start[:1], self.start[1:] + motion])
        return imaging.with_geometry(volume_warp=nodes)

    def in_units(self, raw: Float[Tensor, " parameter"]) -> Float[Tensor, "dnode znode ynode xnode 3"]:
        """Deviations from the start in Å, without the first dose, where it is zero."""
        return raw.reshape(self.shape) * self.scale_angstrom


def refined_count(old: int, wanted: int) -> int:
    """Least number of nodes that is not below the wanted one and puts a node on each of the old ones."""
    if old == 1:
        return wanted
    return (old - 1) * max(1, -(-(wanted - 1) // (old - 1))) + 1


def resample_linear(grid: Float[Tensor, "... channel"], shape: Sequence[int]) -> Float[Tensor, "... channel"]:
    """Sample a linear grid at the nodes of another one with axes of the given lengths."""
    out = grid
    for axis, count in enumerate(shape):
        old = out.shape[axis]
        if old != count:
            weights = linear_weights(old, torch.linspace(0, 1, count, dtype=grid.dtype))
            out = torch.tensordot(weights, out.movedim(axis, 0), dims=1).movedim(0, axis)
    return out.contiguous()


def _columns(dose_nodes: int, per_node: int, dose: Float[Tensor, " tilt"]) -> Int[Tensor, "tilt column"]:
    """Parameters that act on each tilt, those of odd and of even dose nodes in columns of their own.

    A tilt lies between two neighbouring dose nodes, one odd and one even. Where one of them is the first, which is
    held, the next node of its parity stands in for it, on which the tilt does not depend.
    """
    lower = torch.floor(dose * (dose_nodes - 1)).long().clamp(0, dose_nodes - 2)
    odd = lower + 1 - lower % 2
    even = (lower + lower % 2).clamp(min=2)
    both = torch.stack([odd, even], 1)[:, : min(dose_nodes - 1, 2)]
    parameters = (both[:, :, None] - 1) * per_node + torch.arange(per_node)
    return parameters.flatten(1)
