"""What every block of hyperparameters is."""

from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlit.deformation.imaging import Imaging
from mlit.deformation.local_coordinates import Coordinate
from mlit.deformation.prior import GaussianPrior


class Block(nn.Module):
    """A group of hyperparameters of one tilt series: raw values, a prior, and what they do to the imaging.

    Raw values are deviations from the starting metadata in units of the prior's width, so that zero is the
    start and one is a typical size. A new block gives its :meth:`deform`; gradients and curvatures follow by
    automatic differentiation.

    Parameters
    ----------
    count
        Number of parameters.
    columns
        The parameters that act on each tilt. Parameters in one column of this table, over all tilts, are
        differentiated at the same time, so a tilt must depend on no other parameter of that column than its
        own.
    prior
        Prior of the raw values.

    Attributes
    ----------
    name
        What configs call it.
    moves
        Local coordinates that it changes besides position and orientation, which are always watched.
    unit
        Physical unit of its parameters.
    axes
        What the axes of :meth:`in_units` count.
    """

    name: ClassVar[str] = "block"
    moves: tuple[Coordinate, ...] = ()
    unit: ClassVar[str]
    axes: ClassVar[tuple[str, ...]]

    def __init__(self, count: int, columns: Int[Tensor, "tilt column"], prior: GaussianPrior) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.zeros(count, dtype=torch.float64))
        self.columns = columns
        self._prior = prior
        self.register_buffer("log_widths", prior.log_widths.clone())

    @property
    def prior(self) -> GaussianPrior:
        """Prior of the raw values, with the widths learnt so far."""
        log_widths = self.get_buffer("log_widths")
        if not torch.equal(log_widths, self._prior.log_widths):
            self._prior = self._prior.with_widths(log_widths.clone())
        return self._prior

    @torch.no_grad()
    def learn_prior(self, mean: Float[Tensor, " parameter"], spread: Float[Tensor, "member member"]) -> None:
        """Fit the widths of the prior to a posterior of the raw values, in place."""
        self.get_buffer("log_widths").copy_(self.prior.learnt(mean, spread).log_widths)

    def deform(self, imaging: Imaging, raw: Float[Tensor, " parameter"]) -> Imaging:
        """Return the imaging with the deviation of raw values ``raw`` added; differentiable."""
        raise NotImplementedError

    @torch.no_grad()
    def take_over(self, other: "Block") -> None:
        """Start from the values and prior of a block of the same kind, in place; one of another size is left alone."""
        if other.raw.shape == self.raw.shape:
            self.load_state_dict(other.state_dict())

    def in_units(self, raw: Float[Tensor, " parameter"]) -> Float[Tensor, "..."]:
        """Raw values, or their standard errors, in physical units."""
        raise NotImplementedError

    def physical(self) -> Float[Tensor, "..."]:
        """Present deviation from the start in physical units."""
        return self.in_units(self.raw.detach())


def shared_columns(tilts: int, count: int) -> Int[Tensor, "tilt column"]:
    """Columns of a block whose ``count`` parameters all act on every tilt."""
    return torch.arange(count).repeat(tilts, 1)


def per_tilt_columns(tilts: int, per_tilt: int) -> Int[Tensor, "tilt column"]:
    """Columns of a block with ``per_tilt`` parameters for each tilt, tilt-major."""
    return torch.arange(tilts * per_tilt).reshape(tilts, per_tilt)
