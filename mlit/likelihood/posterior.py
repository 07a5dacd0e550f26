"""What a fit leaves uncertain, seen in the images, and what each image would have been without having been fitted."""

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.deformation.series_model import Jacobians
from mlit.optim.arrow import ArrowCovariance


def local_covariance(
    jacobians: Jacobians, covariance: ArrowCovariance
) -> Float[Tensor, "particle tilt coordinate coordinate"]:
    """Posterior covariance of the local coordinates of every image, in Å, radians, µm and so on.

    This is what the Cramér-Rao bound predicts for the error that remains, priors counted in. It does not depend on
    how a common shift is shared between particles, tilts and warps.
    """
    by_pose, by_hyper, columns = jacobians.poses, jacobians.hyper, jacobians.columns
    own = by_pose @ covariance.item[:, None] @ by_pose.transpose(-1, -2)
    if not columns.shape[1]:
        return own
    cross = covariance.cross[:, :, columns].permute(0, 2, 1, 3)
    mixed = by_pose @ cross @ by_hyper.transpose(-1, -2)
    shared = covariance.shared[columns[:, :, None], columns[:, None]]
    return own + mixed + mixed.transpose(-1, -2) + by_hyper @ shared @ by_hyper.transpose(-1, -2)


def held_out_log_likelihood(
    log_likelihood: Float[Tensor, "particle tilt"],
    gradient: Float[Tensor, "particle tilt coordinate"],
    curvature: Float[Tensor, "particle tilt coordinate coordinate"],
    covariance: Float[Tensor, "particle tilt coordinate coordinate"],
) -> Float[Tensor, "particle tilt"]:
    """Log-likelihood that every image would have if it had been kept out of the fit.

    Near its optimum the objective is a parabola, and so is the log-likelihood L of an image in its own local
    coordinates u, with gradient g and curvature H. Without the image the optimum lies elsewhere, by
    ``u = -(1 - S H)⁻¹ S g`` with S the covariance of u, and L is read there. No second fit is needed.

    Parameters
    ----------
    log_likelihood, gradient, curvature
        Of every image at the optimum.
    covariance
        Of its local coordinates, see :func:`local_covariance`.
    """
    one = torch.eye(curvature.shape[-1], dtype=curvature.dtype, device=curvature.device)
    pull = (covariance @ gradient[..., None]).squeeze(-1)
    moved = -torch.linalg.solve(one - covariance @ curvature, pull)
    bent = torch.einsum("pti,ptij,ptj->pt", moved, curvature, moved)
    return log_likelihood + (gradient * moved).sum(-1) - bent / 2
