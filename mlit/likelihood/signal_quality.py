"""One number for how good an image is: the strength of its signal where the images hold what they know.

Amplitudes and B factors are known together far better than each of them: a little less of one and a little more decay
look alike. What counts is the signal in the band that images have something to say about. So quality is the mean of the
logarithm of the signal over all rings, weighted by the information that all images together have there, less that of
dose and path through the sample. It compares tilts with the others of their series, and series with each other.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.likelihood.weights_problem import WeightsProblem


@dataclass(frozen=True)
class SignalQuality:
    """Quality of one series and of its tilts, as factors of the amplitude of the signal.

    Attributes
    ----------
    series, series_error
        Mean of its tilts, relative to that of all series, and its standard error.
    tilt, tilt_error
        Of each tilt, relative to the mean of the series.
    frequency_per_angstrom
        Where the signal is that strong: root mean square over the information.
    """

    series: float
    series_error: float
    tilt: Float[Tensor, " tilt"]
    tilt_error: Float[Tensor, " tilt"]
    frequency_per_angstrom: float


def signal_quality(problem: WeightsProblem) -> list[SignalQuality]:
    """Quality of all series."""
    known = problem.known().sum((0, 1, 2))
    share = known / known.sum()
    by_item, by_shared = _derivatives(problem, share @ problem.basis)
    seen = (problem.power.sum((2, 3)) > 0).double()
    mean = seen / seen.sum(1, keepdim=True).clamp(min=1)
    of_series = torch.einsum("st,ta->sa", mean, by_item), torch.einsum("st,stp->sp", mean, by_shared)
    of_tilts = by_item - of_series[0][:, None], by_shared - of_series[1][:, None]
    series = (of_series[0] * problem.item).sum(1) + of_series[1] @ problem.shared
    tilts = torch.einsum("sta,sa->st", of_tilts[0], problem.item) + of_tilts[1] @ problem.shared
    series = (series - series.mean()).exp()
    tilts = tilts.exp()
    series_error, tilt_error = _errors(problem, of_series, of_tilts)
    frequency = float((share @ problem.frequency.square()).sqrt())
    return [
        SignalQuality(
            float(series[i]),
            float(series[i] * series_error[i]),
            tilts[i, :n],
            tilts[i, :n] * tilt_error[i, :n],
            frequency,
        )
        for i, n in enumerate(problem.tilts)
    ]


def _derivatives(
    problem: WeightsProblem, kinds: Float[Tensor, " basis"]
) -> tuple[Float[Tensor, "tilt a"], Float[Tensor, "series tilt shared"]]:
    """Differentiate the logarithm of the signal of the tilts by the parameters of their series, and by shared ones."""
    curves = torch.einsum("stip,i->stp", problem.by_shared[:, :, 0, :, : problem.curves], kinds)
    rings, places = problem.rings.count, len(problem.shared) - problem.rings.count - problem.curves
    by_shared = torch.nn.functional.pad(curves, (rings, places))
    return torch.einsum("tia,i->ta", problem.by_item, kinds), by_shared


def _errors(
    problem: WeightsProblem,
    of_series: tuple[Float[Tensor, "series a"], Float[Tensor, "series shared"]],
    of_tilts: tuple[Float[Tensor, "series tilt a"], Float[Tensor, "series tilt shared"]],
) -> tuple[Float[Tensor, " series"], Float[Tensor, "series tilt"]]:
    """Return standard errors of functions of the parameters; those of series against the mean of all of them."""
    covariance = problem.system().covariance()
    gain = torch.linalg.solve(covariance.shared, covariance.cross, left=False)
    alone = covariance.item - torch.einsum("sap,sbp->sab", gain, covariance.cross)

    def through_shared(item: Tensor, shared: Tensor) -> Tensor:
        return torch.einsum("s...a,sap->s...p", item, gain) + shared

    total = through_shared(*of_series)
    series = total @ covariance.shared @ total.T
    series.diagonal().add_(torch.einsum("sa,sab,sb->s", of_series[0], alone, of_series[0]))
    series = series - series.mean(0)
    series = (series - series.mean(1, keepdim=True)).diagonal()
    common = through_shared(*of_tilts)
    tilts = torch.einsum("sta,sab,stb->st", of_tilts[0], alone, of_tilts[0])
    tilts = tilts + torch.einsum("stp,pr,str->st", common, covariance.shared, common)
    return series.clamp(min=0).sqrt(), tilts.clamp(min=0).sqrt()
