"""Gaussian priors on the raw parameters of a block."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

HYPERPRIOR_DEVIATION = 0.7  # of the logarithm of a width: a factor of two either way is no surprise

Covariance = Callable[[Float[Tensor, " width"]], Float[Tensor, "member member"]]


@dataclass(frozen=True)
class GaussianPrior:
    """Independent groups of parameters, correlated inside a group, zero mean.

    Attributes
    ----------
    groups
        Flat parameter indices of each group.
    covariance
        Covariance inside a group, the same for all groups, as a differentiable function of its log-widths.
    log_widths
        Logarithms of widths (and lengths), relative to those that were asked for.
    """

    groups: Int[Tensor, "group member"]
    covariance: Covariance
    log_widths: Float[Tensor, " width"]

    @classmethod
    def independent(cls, count: int) -> "GaussianPrior":
        """Make a prior of unit variance for each of ``count`` parameters."""
        return cls.correlated(torch.arange(count)[:, None], torch.eye(1, dtype=torch.float64))

    @classmethod
    def correlated(cls, groups: Int[Tensor, "group member"], covariance: Tensor) -> "GaussianPrior":
        """Make a prior of groups with a given covariance, of which only the size can be learnt."""
        fixed = covariance.double()
        return cls(groups, lambda log_widths: fixed * torch.exp(2 * log_widths), torch.zeros(1, dtype=torch.float64))

    @cached_property
    def precision(self) -> Float[Tensor, "member member"]:
        """Inverse covariance inside a group."""
        return torch.linalg.inv(self.covariance(self.log_widths))

    def with_widths(self, log_widths: Float[Tensor, " width"]) -> "GaussianPrior":
        """Return a prior of the same kind with other widths."""
        return replace(self, log_widths=log_widths)

    def learnt(self, mean: Float[Tensor, " parameter"], spread: Float[Tensor, "member member"]) -> "GaussianPrior":
        """Return the prior under which parameters of a given posterior are most probable.

        This is the second half of a step of expectation maximisation. The widths have a prior themselves, which
        keeps those near what was asked for of which the data say little.

        Parameters
        ----------
        mean, spread
            Posterior of the raw parameters under the present prior: their mean, and the sum over all groups of their
            covariance.
        """
        values = mean[self.groups]
        moment, count = values.T @ values + spread, len(self.groups)
        log_widths = self.log_widths.clone().requires_grad_()
        optimiser = torch.optim.LBFGS([log_widths], max_iter=20, line_search_fn="strong_wolfe")

        def surprise() -> Tensor:
            optimiser.zero_grad()
            factor = torch.linalg.cholesky(self.covariance(log_widths))
            fit = torch.cholesky_solve(moment, factor).trace() / 2 + count * factor.diagonal().log().sum()
            loss = fit + (log_widths / HYPERPRIOR_DEVIATION).square().sum() / 2
            loss.backward()
            return loss

        with torch.enable_grad():
            optimiser.step(surprise)  # pyright: ignore[reportArgumentType]
        return self.with_widths(log_widths.detach())

    def width(self) -> Float[Tensor, " parameter"]:
        """Return the standard deviation of every parameter."""
        deviation = self.covariance(self.log_widths).diagonal().sqrt()
        return torch.zeros(self.groups.numel(), dtype=deviation.dtype).index_put(
            (self.groups,), deviation.expand_as(self.groups)
        )

    def gradient(self, raw: Float[Tensor, " parameter"]) -> Float[Tensor, " parameter"]:
        """Return the derivative of :meth:`penalty`."""
        return torch.zeros_like(raw).index_put((self.groups,), raw[self.groups] @ self.precision)

    def penalty(self, raw: Float[Tensor, " parameter"]) -> Float[Tensor, ""]:
        """Negative log-density up to a constant."""
        values = raw[self.groups]
        return (values * (values @ self.precision)).sum() / 2


def smooth_covariance(
    shape: tuple[int, ...],
    length: float | Tensor,
    common: float | Tensor,
    dtype: torch.dtype = torch.float64,
    extent: Sequence[float] | None = None,
) -> Float[Tensor, "member member"]:
    """Covariance of grid nodes: a part common to all nodes plus a unit-variance local part.

    The local part is an exponential (Ornstein-Uhlenbeck) field: neighbours move together, but kinks are allowed.
    A squared-exponential field forbids them, and costs a quarter of the accuracy where the truth has some.

    Parameters
    ----------
    shape
        Nodes along each axis (slowest first), spread evenly over its extent.
    length
        Correlation length of the local part in units of the field.
    common
        Standard deviation of the common part, relative to that of the local part.
    extent
        Extent of each axis in units of the field; the whole field where not given.
    """
    sides = [1.0] * len(shape) if extent is None else extent
    axes = [torch.linspace(0, s if n > 1 else 0, n, dtype=dtype) for n, s in zip(shape, sides, strict=True)]
    nodes = torch.cartesian_prod(*axes).reshape(-1, len(shape))
    distance = torch.cdist(nodes, nodes)
    return torch.exp(-distance / length) + common**2 + 1e-6 * torch.eye(len(nodes), dtype=dtype)


def walk_covariance(time: Float[Tensor, " member"], origin: float) -> Float[Tensor, "member member"]:
    """Covariance of a random walk in time that is known at its origin, with unit variance after unit time.

    The motion between any two times has the variance of their distance, whatever the origin.

    Parameters
    ----------
    time
        When the walk is looked at; both before and after the origin.
    origin
        Where the walk is zero.
    """
    away = time - origin
    same_side = away[:, None] * away > 0
    return torch.where(same_side, torch.minimum(away.abs()[:, None], away.abs()), 0.0)
