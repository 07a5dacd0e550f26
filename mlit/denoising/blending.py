"""How much of a correction to believe in each shell, and what it brings."""

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from jaxtyping import Complex, Float
from torch import Tensor

from mlit.fourier.shells import cube_edge, shell_counts, shell_sum

AXES = (-3, -2, -1)
SMOOTH_SHELLS = 2  # on either side
TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class Blend:
    """What maps to judge by say of a correction.

    Attributes
    ----------
    share
        Part of the correction to add in each shell, from 0 to 1.
    gain
        Factor by which the correlation with the density rises in each shell, as far as the maps can tell.
    """

    share: Float[Tensor, " shell"]
    gain: Float[Tensor, " shell"]


def judge(
    before: Float[Tensor, "map z y x"],
    correction: Float[Tensor, "map z y x"],
    against: Float[Tensor, "map z y x"],
    independent: float,
    first: int,
    last: int,
) -> Blend:
    """Find the share of a correction that brings maps nearest to others of the same signal.

    In every shell the best share is that of a straight fit of `against` − `before` to the correction, since the noise
    of `against` has nothing to do with either. A standard error less is taken, so that chance adds nothing.

    Parameters
    ----------
    before, correction
        Maps and what a network would add to them, masked.
    against
        For each of them a map of the same signal whose noise neither they nor the network have met, masked.
    independent
        How many of all Fourier coefficients of one map are independent of each other, over their number, times how
        many different maps there are in `against`.
    first, last
        Shells outside of which nothing is added.
    """
    n = cube_edge(before)
    old, new, aim = (torch.fft.rfftn(maps, dim=AXES) for maps in (before, correction, against))
    mean = _ShellMeans(n)
    power, missing = mean.of(new, new), aim - old
    counts = shell_counts(n, 3, before.device) / 2 * independent
    error = (power * mean.of(missing, missing) / 2 / _around(counts).clamp(min=1)).sqrt()
    share = ((mean.of(missing, new) - error) / power.clamp(min=TINY)).clamp(0, 1)
    shell = torch.arange(n // 2 + 1, device=share.device)
    share = torch.where((shell >= first) & (shell <= last), share, torch.zeros_like(share))
    agrees, brings = mean.of(aim, old), mean.of(aim, new)
    length = mean.of(old, old)
    longer = length + 2 * share * mean.of(old, new) + share.square() * power
    gain = (agrees + share * brings) / agrees.clamp(min=TINY) * (length / longer.clamp(min=TINY)).sqrt()
    return Blend(share, torch.where(share > 0, gain, torch.ones_like(gain)))


@dataclass(frozen=True)
class _ShellMeans:
    """Means over maps and over neighbouring shells."""

    n: int

    def of(self, a: Complex[Tensor, "map z y half"], b: Complex[Tensor, "map z y half"]) -> Float[Tensor, " shell"]:
        """Mean of the product of two transforms."""
        total = shell_sum((a * b.conj()).real, self.n).mean(0)
        return _around(total) / _around(shell_counts(self.n, 3, a.device))


def _around(values: Float[Tensor, " shell"]) -> Float[Tensor, " shell"]:
    """Sum over neighbouring shells."""
    kernel = values.new_ones(1, 1, 2 * SMOOTH_SHELLS + 1)
    return functional.conv1d(values[None, None], kernel, padding=SMOOTH_SHELLS)[0, 0]
