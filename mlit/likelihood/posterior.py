"""What a fit leaves uncertain, seen in the images, and what each image would have been without having been fitted."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.deformation.series_model import Jacobians
from mlit.likelihood.normal_equations import SeriesCovariance


def local_covariance(
    jacobians: Jacobians, covariance: SeriesCovariance
) -> Float[Tensor, "particle tilt coordinate coordinate"]:
    """Posterior covariance of the local coordinates of every image, in Å, radians, µm and so on.

    This is what the Cramér-Rao bound predicts for the error that remains, priors counted in. It does not depend on
    how a common shift is shared between particles, tilts and warps.
    """
    by_pose, by_hyper = jacobians.poses, jacobians.hyper
    own = by_pose @ covariance.poses[:, None] @ by_pose.transpose(-1, -2)
    mixed = by_pose @ covariance.cross @ by_hyper.transpose(-1, -2)
    shared = by_hyper @ covariance.per_tilt @ by_hyper.transpose(-1, -2)
    return own + mixed + mixed.transpose(-1, -2) + shared


LEAST_DEVIATIONS = 3.0  # how far below its mean the log-likelihood of an image without its signal can be


@dataclass(frozen=True)
class Prediction:
    """How well every image is predicted by a fit without it; zero where a particle is not seen.

    Attributes
    ----------
    log_likelihood
        Against no signal at all.
    cost
        What errors of the prediction are expected to cost of it.
    """

    log_likelihood: Float[Tensor, "particle tilt"]
    cost: Float[Tensor, "particle tilt"]


def held_out(
    log_likelihood: Float[Tensor, "particle tilt"],
    gradient: Float[Tensor, "particle tilt coordinate"],
    curvature: Float[Tensor, "particle tilt coordinate coordinate"],
    covariance: Float[Tensor, "particle tilt coordinate coordinate"],
    power: Float[Tensor, "particle tilt"],
) -> Prediction:
    """Log-likelihood that every image would have if it had been kept out of the fit.

    Near its optimum the objective is a parabola, and so is the log-likelihood L of an image in its own local
    coordinates u, with gradient g and curvature H. Without the image the optimum lies elsewhere, by
    ``u = -(1 - S H)⁻¹ S g`` with S the covariance of u, and L is read there. No second fit is needed. The covariance
    without the image is ``(1 - S H)⁻¹ S``, and half the trace of its product with H is what it costs in the mean.

    The parabola ends where nothing of the prediction meets the image any more: there L is normal about half the power
    of the signal below zero, with that power as its variance. Where the others say hardly anything about an image, u is
    beyond that, and L is held at three standard deviations below.

    Parameters
    ----------
    log_likelihood, gradient, curvature
        Of every image at the optimum.
    covariance
        Of its local coordinates, see :func:`local_covariance`.
    power
        Squared length of the predicted signal in units of the noise.
    """
    one = torch.eye(curvature.shape[-1], dtype=curvature.dtype, device=curvature.device)
    without = torch.linalg.solve(one - covariance @ curvature, covariance)
    moved = -(without @ gradient[..., None]).squeeze(-1)
    bent = torch.einsum("pti,ptij,ptj->pt", moved, curvature, moved)
    cost = torch.einsum("ptij,ptji->pt", without, curvature) / 2
    predicted = log_likelihood + (gradient * moved).sum(-1) - bent / 2
    return Prediction(predicted.maximum(-power / 2 - LEAST_DEVIATIONS * power.sqrt()), cost)
