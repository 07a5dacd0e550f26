"""Normal equations of all parameters of a series, from the local statistics of its images.

Particles meet only in tilts, and tilts only in particles and in the few parameters that act on several tilts. So
either the particles or the tilts can be eliminated first, one by one, and a dense system is left of the others.
The smaller one is taken: its size bounds memory and time.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mlit.deformation.hyper_layout import HyperLayout
from mlit.deformation.series_model import Jacobians, SeriesModel
from mlit.optim.arrow import ArrowSystem


@dataclass(frozen=True)
class SeriesCovariance:
    """Posterior covariance of the raw parameters of a series, where images can see it.

    Attributes
    ----------
    poses
        Of each particle.
    cross
        Of each particle with the hyperparameters of each tilt, in the columns of the layout.
    per_tilt
        Of the hyperparameters of each tilt, likewise.
    rest
        Of the hyperparameters that act on several tilts.
    layout
        Where they belong.
    """

    poses: Float[Tensor, "particle pose pose"]
    cross: Float[Tensor, "particle tilt pose column"]
    per_tilt: Float[Tensor, "tilt column column"]
    rest: Float[Tensor, "rest rest"]
    layout: HyperLayout

    def variance(self) -> Float[Tensor, " hyper"]:
        """Variance of every hyperparameter."""
        local = self.per_tilt.diagonal(dim1=1, dim2=2)[:, self.layout.is_local]
        return self.layout.join(local, self.rest.diagonal())

    def of_groups(self, groups: Int[Tensor, "group member"]) -> Float[Tensor, "member member"]:
        """Sum of the covariances of groups of hyperparameters, each within one tilt or within the rest."""
        tilt, place = (table[groups] for table in self.layout.places())
        if bool((tilt < 0).all()):
            return self.rest[place[:, :, None], place[:, None]].sum(0)
        column = self.layout.is_local.nonzero().squeeze(1)[place]
        return self.per_tilt[tilt[:, :, None], column[:, :, None], column[:, None]].sum(0)


@dataclass(frozen=True)
class SeriesSystem:
    """Curvature and gradient of the objective of a series.

    Attributes
    ----------
    arrow
        The system; its items are the particles, or the tilts with their own hyperparameters.
    layout
        Places of the hyperparameters.
    poses
        Particles, and parameters of each.
    tilts_first
        Whether the items are the tilts.
    """

    arrow: ArrowSystem
    layout: HyperLayout
    poses: tuple[int, int]
    tilts_first: bool

    def damped(self, damping: float) -> "SeriesSystem":
        """Multiply the diagonal by ``1 + damping``."""
        return replace(self, arrow=self.arrow.damped(damping))

    def solve(self) -> tuple[Float[Tensor, "particle pose"], Float[Tensor, " hyper"]]:
        """Newton step of poses and hyperparameters.

        Raises
        ------
        torch.linalg.LinAlgError
            If the system is not positive definite.
        """
        return self._apart(*self.arrow.solve())

    @property
    def gradient(self) -> tuple[Float[Tensor, "particle pose"], Float[Tensor, " hyper"]]:
        """Gradient by poses and hyperparameters."""
        return self._apart(self.arrow.item_gradient, self.arrow.shared_gradient)

    def with_gradient(self, poses: Float[Tensor, "particle pose"], hyper: Float[Tensor, " hyper"]) -> "SeriesSystem":
        """Return the system with another gradient."""
        if not self.tilts_first:
            return replace(self, arrow=self.arrow.with_gradient(poses, hyper))
        rest = torch.cat([poses.flatten(), hyper[self.layout.rest]])
        return replace(self, arrow=self.arrow.with_gradient(hyper[self.layout.local], rest))

    def _apart(self, item: Tensor, shared: Tensor) -> tuple[Tensor, Tensor]:
        if not self.tilts_first:
            return item, shared
        poses, rest = shared.split([self.poses[0] * self.poses[1], len(self.layout.rest)])
        return poses.reshape(self.poses), self.layout.join(item, rest)

    def covariance(self) -> SeriesCovariance:
        """Posterior covariance.

        Raises
        ------
        torch.linalg.LinAlgError
            If the system is not positive definite.
        """
        found, layout = self.arrow.covariance(), self.layout
        columns = layout.columns
        if not self.tilts_first:
            cross = found.cross[:, :, columns].permute(0, 2, 1, 3)
            per_tilt = found.shared[columns[:, :, None], columns[:, None]]
            rest = found.shared[layout.rest][:, layout.rest]
            return SeriesCovariance(found.item, cross, per_tilt, rest, layout)
        particles, width = self.poses
        dense = found.shared[: particles * width, : particles * width].unflatten(0, self.poses)
        own = torch.arange(particles)
        poses = dense.unflatten(2, self.poses)[own, :, own]
        local, rest = layout.is_local, _rest_columns(layout) + particles * width
        cross = found.cross.new_empty(particles, len(columns), width, columns.shape[1])
        by_tilt = found.cross[..., : particles * width].unflatten(2, self.poses)
        cross[..., local] = by_tilt.permute(2, 0, 3, 1)
        cross[..., ~local] = dense_columns(found.shared[: particles * width], rest, self.poses)
        per_tilt = found.cross.new_empty(len(columns), columns.shape[1], columns.shape[1])
        mixed = found.cross.gather(2, rest[:, None].expand(-1, found.cross.shape[1], -1))
        per_tilt[:, local[:, None] & local] = found.item.flatten(1)
        per_tilt[:, local[:, None] & ~local] = mixed.flatten(1)
        per_tilt[:, ~local[:, None] & local] = mixed.transpose(1, 2).flatten(1)
        per_tilt[:, ~local[:, None] & ~local] = found.shared[rest[:, :, None], rest[:, None]].flatten(1)
        remaining = found.shared[particles * width :, particles * width :]
        return SeriesCovariance(poses, cross, per_tilt, remaining, layout)


def dense_columns(
    rows: Float[Tensor, "row shared"], columns: Int[Tensor, "tilt some"], poses: tuple[int, int]
) -> Float[Tensor, "particle tilt pose some"]:
    """Columns of a dense matrix for every tilt, its rows told apart by particle."""
    return rows[:, columns].unflatten(0, poses).permute(0, 2, 1, 3)


def _rest_columns(layout: HyperLayout) -> Int[Tensor, "tilt some"]:
    """Places among the rest of the parameters that act on each tilt together with others."""
    return layout.places()[1][layout.columns[:, ~layout.is_local]]


@dataclass(frozen=True)
class _Parts:
    """Curvature and gradient by poses and by the hyperparameters of each tilt."""

    poses: Float[Tensor, "particle pose pose"]
    pose_gradient: Float[Tensor, "particle pose"]
    mixed: Float[Tensor, "particle tilt pose column"]
    hyper: Float[Tensor, "tilt column column"]
    hyper_gradient: Float[Tensor, "tilt column"]


def assemble(
    jacobians: Jacobians,
    gradient: Float[Tensor, "particle tilt coordinate"],
    curvature: Float[Tensor, "particle tilt coordinate coordinate"],
    layout: HyperLayout,
    tilts_first: bool | None = None,
) -> SeriesSystem:
    """Chain local gradients and curvatures to the raw parameters.

    Parameters
    ----------
    jacobians
        Of the local coordinates.
    gradient, curvature
        Of the objective by the local coordinates.
    layout
        Places of the hyperparameters.
    tilts_first
        What to eliminate first; by default what leaves less.
    """
    by_pose, by_hyper = jacobians.poses, jacobians.hyper
    bent_pose = curvature @ by_pose
    parts = _Parts(
        torch.einsum("ptik,ptil->pkl", by_pose, bent_pose),
        torch.einsum("ptik,pti->pk", by_pose, gradient),
        torch.einsum("ptik,ptic->ptkc", bent_pose, by_hyper),
        torch.einsum("ptic,ptid->tcd", by_hyper, curvature @ by_hyper),
        torch.einsum("ptic,pti->tc", by_hyper, gradient),
    )
    poses = (by_pose.shape[0], by_pose.shape[-1])
    if tilts_first is None:
        tilts_first = poses[0] * poses[1] < layout.local.numel()
    make = _tilts_first if tilts_first else _particles_first
    return SeriesSystem(make(parts, layout), layout, poses, tilts_first)


def _particles_first(parts: _Parts, layout: HyperLayout) -> ArrowSystem:
    columns, count = layout.columns, layout.count
    coupling = parts.poses.new_zeros(*parts.pose_gradient.shape, count)
    coupling.index_add_(2, columns.flatten(), parts.mixed.transpose(1, 2).flatten(2))
    shared, gradient = _scattered(parts.hyper, parts.hyper_gradient, columns, count)
    return ArrowSystem(parts.poses, coupling, shared, parts.pose_gradient, gradient)


def _tilts_first(parts: _Parts, layout: HyperLayout) -> ArrowSystem:
    local, rest = layout.is_local, _rest_columns(layout)
    first, count = parts.pose_gradient.numel(), len(layout.rest)
    of_tilts, mixed = parts.hyper[:, local], parts.mixed.transpose(1, 2)
    coupling = parts.poses.new_zeros(*layout.local.shape, first + count)
    coupling[..., :first] = parts.mixed[..., local].permute(1, 3, 0, 2).flatten(2)
    with_rest = rest[:, None].expand(-1, layout.local.shape[1], -1) + first
    coupling.scatter_add_(2, with_rest, of_tilts[:, :, ~local])
    shared = coupling.new_zeros(first + count, first + count)
    shared[:first, :first] = torch.block_diag(*parts.poses)
    bridge = coupling.new_zeros(*parts.pose_gradient.shape, count)
    bridge.index_add_(2, rest.flatten(), mixed[..., ~local].flatten(2))
    shared[:first, first:] = bridge.flatten(0, 1)
    shared[first:, :first] = shared[:first, first:].T
    others = parts.hyper[:, ~local][:, :, ~local], parts.hyper_gradient[:, ~local]
    shared[first:, first:], gradient = _scattered(*others, rest, count)
    gradient = torch.cat([parts.pose_gradient.flatten(), gradient])
    return ArrowSystem(of_tilts[:, :, local], coupling, shared, parts.hyper_gradient[:, local], gradient)


def _scattered(
    blocks: Float[Tensor, "tilt column column"],
    gradients: Float[Tensor, "tilt column"],
    columns: Int[Tensor, "tilt column"],
    count: int,
) -> tuple[Float[Tensor, "hyper hyper"], Float[Tensor, " hyper"]]:
    """Sum of what all tilts say about parameters."""
    matrix, gradient = blocks.new_zeros(count, count), blocks.new_zeros(count)
    rows = columns[:, :, None].expand_as(blocks)
    matrix.index_put_((rows, rows.transpose(1, 2)), blocks, accumulate=True)
    gradient.index_add_(0, columns.flatten(), gradients.flatten())
    return matrix, gradient


def with_prior(system: SeriesSystem, model: SeriesModel, weight: Float[Tensor, " particle"]) -> SeriesSystem:
    """Add the priors of all active parameters, those of the poses times the weight of the particle.

    Poses that are held are fixed by their priors alone.
    """
    arrow, layout = system.arrow, system.layout
    item, shared = arrow.item.clone(), arrow.shared.clone()
    first = system.poses[0] * system.poses[1]
    own = shared[:first, :first] if system.tilts_first else item
    stiffness = weight.to(item)[:, None].expand(system.poses)
    own.diagonal(dim1=-2, dim2=-1).add_(stiffness.flatten() if system.tilts_first else stiffness)
    tilt, place = layout.places()
    hyper_pull, offset = torch.zeros_like(model.hyper.detach()), 0
    for block, raw in model.split(model.hyper.detach()):
        groups, precision = block.prior.groups + offset, block.prior.precision.to(item)
        hyper_pull[offset : offset + len(raw)] = block.prior.gradient(raw)
        offset += len(raw)
        if not system.tilts_first:
            _add(shared, groups, precision)
        elif bool((tilt[groups] < 0).all()):
            _add(shared, place[groups] + first, precision)
        else:
            where = tilt[groups][:, :, None], place[groups][:, :, None], place[groups][:, None]
            item.index_put_(where, precision, accumulate=True)
    pose_pull = stiffness * model.poses.raw.detach() if model.poses.raw.requires_grad else torch.zeros_like(stiffness)
    if system.tilts_first:
        pulls = hyper_pull[layout.local], torch.cat([pose_pull.flatten(), hyper_pull[layout.rest]])
    else:
        pulls = pose_pull, hyper_pull
    gradients = arrow.item_gradient - pulls[0], arrow.shared_gradient - pulls[1]
    return replace(system, arrow=ArrowSystem(item, arrow.coupling, shared, *gradients))


def _add(matrix: Tensor, groups: Int[Tensor, "group member"], precision: Float[Tensor, "member member"]) -> None:
    """Add a precision to the rows and columns of every group, in place."""
    matrix.index_put_((groups[:, :, None], groups[:, None]), precision, accumulate=True)
