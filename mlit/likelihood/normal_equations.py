"""Normal equations of all parameters of a series, from the local statistics of its images."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.deformation.series_model import Jacobians, SeriesModel
from mlit.optim.arrow import ArrowSystem


def assemble(
    jacobians: Jacobians,
    gradient: Float[Tensor, "particle tilt coordinate"],
    curvature: Float[Tensor, "particle tilt coordinate coordinate"],
    hyper_count: int,
) -> ArrowSystem:
    """Chain local gradients and curvatures to the raw parameters; particles are the items of the arrow."""
    by_pose, by_hyper, columns = jacobians.poses, jacobians.hyper, jacobians.columns
    width = columns.shape[1]
    bent_pose = curvature @ by_pose
    item = torch.einsum("ptik,ptil->pkl", by_pose, bent_pose)
    item_gradient = torch.einsum("ptik,pti->pk", by_pose, gradient)
    mixed = torch.einsum("ptik,ptic->pktc", bent_pose, by_hyper)
    coupling = by_pose.new_zeros(by_pose.shape[0], by_pose.shape[-1], hyper_count)
    coupling.index_add_(2, columns.flatten(), mixed.flatten(2))
    per_tilt = torch.einsum("ptic,ptid->tcd", by_hyper, curvature @ by_hyper)
    shared = by_pose.new_zeros(hyper_count, hyper_count)
    rows = columns[:, :, None].expand(-1, -1, width)
    shared.index_put_((rows, rows.transpose(1, 2)), per_tilt, accumulate=True)
    shared_gradient = by_pose.new_zeros(hyper_count)
    shared_gradient.index_add_(0, columns.flatten(), torch.einsum("ptic,pti->tc", by_hyper, gradient).flatten())
    return ArrowSystem(item, coupling, shared, item_gradient, shared_gradient)


def with_prior(system: ArrowSystem, model: SeriesModel) -> ArrowSystem:
    """Add the priors of all parameters to the system."""
    system, (precision, pull) = with_prior_of_poses(system, model), block_priors(model)
    return replace(system, shared=system.shared + precision, shared_gradient=system.shared_gradient - pull)


def with_prior_of_poses(system: ArrowSystem, model: SeriesModel) -> ArrowSystem:
    """Add the prior of the poses alone."""
    item = system.item + torch.eye(system.item.shape[-1], dtype=system.item.dtype, device=system.item.device)
    item_gradient = system.item_gradient
    if model.poses.raw.requires_grad:  # poses that are held must not be pulled either
        item_gradient = item_gradient - model.poses.raw.detach()
    return replace(system, item=item, item_gradient=item_gradient)


def block_priors(model: SeriesModel) -> tuple[Float[Tensor, "hyper hyper"], Float[Tensor, " hyper"]]:
    """Precision of the priors of all active blocks, and their gradient at the present values."""
    hyper = model.hyper.detach()
    precision, pull, offset = hyper.new_zeros(len(hyper), len(hyper)), [hyper[:0]], 0
    for block, raw in model.split(hyper):
        block.prior.add_precision(precision, offset)
        pull.append(block.prior.gradient(raw))
        offset += len(raw)
    return precision, torch.cat(pull)
