"""Weights of series, tilts and places from what the images of all series say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.likelihood.place_cells import PlaceCells
from mlit.likelihood.signal_quality import SignalQuality, signal_quality
from mlit.likelihood.signal_table import Rings
from mlit.likelihood.signal_weights import LEAST_DECAY, SignalWeights
from mlit.likelihood.weights_prior import BFACTOR_UNIT
from mlit.likelihood.weights_problem import SeriesSignal, WeightsProblem
from mlit.optim.levenberg_marquardt import Settings, maximise

PASSES = 60
WIDTH_ROUNDS = 60
SETTLED = 0.005  # largest relative change of a width


@dataclass(frozen=True)
class WeightsRequest:
    """What is to be estimated besides curves over dose and tilt angle that all series share.

    Attributes
    ----------
    per_series
        Amplitude and B factor of each series.
    per_tilt
        Those of each tilt of each series, beside the common curves.
    grid
        Nodes along x and y of the images, for weights of places; None: none.
    anisotropic
        B factors of series and tilts that depend on direction.
    """

    per_series: bool = True
    per_tilt: bool = True
    grid: tuple[int, int] | None = None
    anisotropic: bool = False

    @property
    def cells(self) -> PlaceCells:
        """Cells of the images that tables are kept for."""
        return PlaceCells(*(self.grid or (1, 1)))


@dataclass(frozen=True)
class WeightsEstimate:
    """Weights of one series.

    Attributes
    ----------
    weights
        The estimate, on the scale of the references; B factors come on top of radiation damage.
    in_files
        The same as Warp and M can read it: damage is in the B factors.
    errors
        Standard errors of its numbers, each against the mean of all series, of the series' tilts, or of all places:
        what they share is a matter of units.
    quality
        How good series and tilts are, as one number each.
    """

    weights: SignalWeights
    in_files: SignalWeights
    errors: SignalWeights
    quality: SignalQuality


def estimate_weights(series: Sequence[SeriesSignal], rings: Rings, request: WeightsRequest) -> list[WeightsEstimate]:
    """Find the weights under which the images of all series are most probable.

    Parameters
    ----------
    series
        All series, with tables of as many places as the request has cells.
    rings
        Bins of their tables.
    request
        What is to be estimated.
    """
    several = request.per_series and len(series) > 1
    problem = WeightsProblem(series, rings, several, request.per_tilt, request.anisotropic, request.cells)
    for _ in range(WIDTH_ROUNDS):
        maximise(problem, Settings(max_passes=PASSES))
        problem.learn_trust()
        if problem.learn_widths() < SETTLED:
            break
    maximise(problem, Settings(max_passes=PASSES))
    quality = signal_quality(problem)
    values, legal, errors = _on_scale(problem), _legal(problem), _Strength.errors(problem)
    return [
        WeightsEstimate(
            replace(values.weights(i, len(one.dose), request), beside_damage=True),
            legal.weights(i, len(one.dose), request),
            errors.as_errors_of(legal).weights(i, len(one.dose), request),
            quality[i],
        )
        for i, one in enumerate(series)
    ]


@dataclass(frozen=True)
class _Strength:
    """Amplitudes, or their logarithms, then B factors (Å²) and their anisotropy.

    Attributes
    ----------
    series, tilts, places
        Of each of them.
    """

    series: Float[Tensor, "series basis"]
    tilts: Float[Tensor, "series tilt basis"]
    places: Float[Tensor, "node 2"]

    @classmethod
    def of(cls, problem: WeightsProblem) -> "_Strength":
        """Read the parameters of a problem, beside what dose and path let expect; amplitudes as logarithms."""
        basis, rings = problem.basis.shape[1], problem.rings.count
        curves, places = problem.shared[rings:].split([problem.curves, len(problem.shared) - rings - problem.curves])
        tilts = torch.einsum("stip,p->sti", problem.by_shared[:, :, 0, :, : problem.curves], curves)
        tilts = tilts + torch.einsum("tia,sa->sti", problem.by_item[..., basis:], problem.item[:, basis:])
        return cls(*(_in_units(v) for v in (problem.item[:, :basis], tilts, places.unflatten(0, (-1, 2)))))

    @classmethod
    def errors(cls, problem: WeightsProblem) -> "_Strength":
        """Return standard errors of the same, each against the mean of all series, tilts of the series, or places."""
        covariance, basis, rings = problem.system().covariance(), problem.basis.shape[1], problem.rings.count
        gain = torch.linalg.solve(covariance.shared, covariance.cross[:, :basis], left=False)
        series = torch.einsum("iap,jap->aij", gain, covariance.cross[:, :basis])
        series.diagonal(dim1=1, dim2=2).copy_(covariance.item.diagonal(dim1=1, dim2=2)[:, :basis].T)
        used, seen = slice(rings, rings + problem.curves), (problem.power.sum((2, 3)) > 0).double()
        own, shared = problem.by_item[..., basis:], problem.by_shared[:, :, 0, :, : problem.curves]
        own, shared = _centred(own.expand(len(seen), -1, -1, -1), seen), _centred(shared, seen)
        tilts = torch.einsum("stia,sab,stib->sti", own, covariance.item[:, basis:, basis:], own)
        tilts = tilts + 2 * torch.einsum("stia,sap,stip->sti", own, covariance.cross[:, basis:, used], shared)
        tilts = tilts + torch.einsum("stip,pr,stir->sti", shared, covariance.shared[used, used], shared)
        places = covariance.shared[used.stop :, used.stop :].unflatten(0, (-1, 2)).unflatten(2, (-1, 2))
        places = torch.stack([places[:, i, :, i] for i in range(2)])
        variances = _against_mean(series).T, tilts, _against_mean(places).T
        return cls(*(_in_units(v.clamp(min=0).sqrt()) for v in variances))

    def with_amplitudes(self) -> "_Strength":
        """Turn logarithms of amplitudes into amplitudes."""
        return _Strength(*(torch.cat([v[..., :1].exp(), v[..., 1:]], -1) for v in vars(self).values()))

    def as_errors_of(self, values: "_Strength") -> "_Strength":
        """Turn errors of logarithms of amplitudes into errors of amplitudes."""
        pairs = ((self.series, values.series), (self.tilts, values.tilts), (self.places, values.places))
        return _Strength(*(torch.cat([e[..., :1] * v[..., :1], e[..., 1:]], -1) for e, v in pairs))

    def weights(self, number: int, tilts: int, request: WeightsRequest) -> SignalWeights:
        """Put together what belongs to one series."""
        series, own = self.series[number], self.tilts[number, :tilts]
        cells = request.cells
        places = None if request.grid is None else self.places.reshape(1, cells.y_nodes, cells.x_nodes, 2)
        turned = own[:, 2:] + series[2:] if request.anisotropic else None
        return SignalWeights(float(series[0]), float(series[1]), own[:, 0], own[:, 1], turned, places)


def _on_scale(problem: WeightsProblem) -> _Strength:
    """Read the weights on the scale of the references, with the path through the sample and without damage."""
    strength, known = _Strength.of(problem), problem.known().sum(2)
    strength.tilts[..., 0] += problem.path + _mean(problem.common(), known.sum((0, 1)))
    return strength.with_amplitudes()


def _legal(problem: WeightsProblem) -> _Strength:
    """Read the weights so that Warp and M read the same from a file.

    Damage is in them, as the nearest Gaussians. What all images share, a factor and a B factor, is free: the highest
    B factors of series and of tilts become zero, and amplitudes are on the scale of the references. Warp and M then
    believe no decay weaker than ``LEAST_DECAY``.
    """
    strength, square, known = _Strength.of(problem), problem.rings.centres().square().sum(-1), problem.known().sum(2)
    known_in_all = known.sum((0, 1))
    typical = _mean(square, known_in_all)
    series, tilts = strength.series, strength.tilts
    series = _lowered(series, series[:, 1] - series[:, 1].max(), typical)
    tilts = torch.cat([tilts[..., :2] + _in_units(problem.nearest_expected()), tilts[..., 2:]], -1)
    tilts = _lowered(tilts, tilts[..., 1] - tilts[..., 1][known.sum(-1) > 0].max(), typical)
    tilts = _lowered(tilts, tilts[..., 1].minimum(-LEAST_DECAY * problem.dose), _mean(square, known, typical))
    tilts[..., 0] += _mean(problem.common(), known_in_all)
    return _Strength(series, tilts, strength.places).with_amplitudes()


def _lowered(strength: Tensor, bfactor: Tensor, mean_square: Tensor) -> Tensor:
    """Change B factors, and amplitudes such that the signal stays the same at a frequency."""
    changed = strength.clone()
    changed[..., 0] += (strength[..., 1] - bfactor) * mean_square / 4
    changed[..., 1] = bfactor
    return changed


def _mean(values: Tensor, weight: Tensor, fallback: float | Tensor = 0.0) -> Tensor:
    """Weighted mean over the last axis; the fallback has a weight of one."""
    return ((values * weight).sum(-1) + fallback) / (weight.sum(-1) + 1)


def _centred(
    derivative: Float[Tensor, "series tilt basis parameter"], seen: Float[Tensor, "series tilt"]
) -> Float[Tensor, "series tilt basis parameter"]:
    """Differentiate differences from the mean of the tilts that are seen."""
    mean = torch.einsum("st,stip->sip", seen / seen.sum(1, keepdim=True).clamp(min=1), derivative)
    return derivative - mean[:, None]


def _in_units(values: Tensor) -> Tensor:
    """Bring B factors to Å²."""
    return torch.cat([values[..., :1], BFACTOR_UNIT * values[..., 1:]], -1)


def _against_mean(covariance: Float[Tensor, "kind entry entry"]) -> Float[Tensor, "kind entry"]:
    """Variances of differences from the mean."""
    centred = covariance - covariance.mean(1, keepdim=True)
    return (centred - centred.mean(2, keepdim=True)).diagonal(dim1=1, dim2=2)
