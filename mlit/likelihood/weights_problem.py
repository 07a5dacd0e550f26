"""The strength of the signal in all series as one objective: log-posterior of amplitudes and B factors.

The logarithm of what scales the reference, in ring r of tilt t of series s at place q, is linear in all parameters:

    x = h(r) + φ(r) · (expected(t) + curves(dose, angle) + series(s) + tilt(s, t) + place(q)),   φ = (1, k²/4)

h is what all images share: errors of the references, and units. It is free, so that weights rest on how images differ
from each other. φ has two more entries, k² cos 2θ / 4 and k² sin 2θ / 4, where the B factor may depend on direction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.likelihood.pooled_curves import PooledCurves, expected_strength
from mlit.likelihood.signal_table import Rings, SignalTable
from mlit.likelihood.signal_weights import double_angle
from mlit.likelihood.weights_prior import BFACTOR_UNIT, Widths
from mlit.optim.arrow import ArrowSystem

TOLERANCE = 0.01  # of a standard error


@dataclass(frozen=True)
class SeriesSignal:
    """What is known of one series.

    Attributes
    ----------
    table
        Sums over its particles.
    dose, angle_rad
        Of its tilts.
    """

    table: SignalTable
    dose: Float[Tensor, " tilt"]
    angle_rad: Float[Tensor, " tilt"]


class WeightsProblem:
    """Log-posterior of the weights, to be maximised; an item is a series with its tilts.

    Parameters
    ----------
    series
        All series.
    rings
        Bins of their tables.
    per_series, per_tilt
        Whether series differ from each other, and tilts from the common curves.
    anisotropic
        Whether B factors of series and tilts depend on direction.
    """

    def __init__(
        self,
        series: Sequence[SeriesSignal],
        rings: Rings,
        per_series: bool = True,
        per_tilt: bool = True,
        anisotropic: bool = False,
    ) -> None:
        self.rings, self.widths = rings, Widths()
        tilts = max(len(one.dose) for one in series)
        cross, power = (torch.stack([_padded(getattr(s.table, n), tilts) for s in series]) for n in TABLES)
        self.cross = cross * (power > 0)  # the power of hardly anything can come out negative, since boxes are cropped
        self.power = power.clamp(min=0)
        centres = rings.centres()
        self.dose = torch.stack([_padded(one.dose, tilts) for one in series])
        self.basis = _basis(centres, anisotropic)
        self.ring = torch.nn.functional.one_hot(torch.arange(rings.bins) // rings.sectors).double()
        information = self.power.sum((0, 1, 2))
        frequency = centres.norm(dim=-1)
        self.expected = torch.stack(
            [_padded(expected_strength(s.dose, s.angle_rad, frequency, information), tilts) for s in series]
        )
        self.expected[..., 1] /= BFACTOR_UNIT
        seen = [s.table.power.sum((1, 2)) > 0 for s in series]
        curves = PooledCurves.spanning(
            *(
                torch.cat([getattr(s, n)[k] if k.any() else getattr(s, n) for s, k in zip(series, seen, strict=True)])
                for n in ("dose", "angle_rad")
            )
        )
        functions = torch.stack([_padded(curves.basis(s.dose, s.angle_rad), tilts) for s in series])
        self.by_item = _item_design(tilts, self.basis.shape[1], per_series, per_tilt)
        self.by_shared = _shared_design(functions, self.cross.shape[2], self.basis.shape[1])
        self.curves = 2 * functions.shape[-1]
        self.item = torch.zeros(len(series), self.by_item.shape[-1], dtype=torch.float64)
        self.shared = torch.zeros(rings.count + self.by_shared.shape[-1], dtype=torch.float64)
        self._before = self.item, self.shared

    def scale(self) -> Float[Tensor, "series tilt place bin"]:
        """Factor of the reference."""
        own = torch.einsum("tia,sa->sti", self.by_item, self.item)
        common = torch.einsum("stqip,p->stqi", self.by_shared, self.shared[self.rings.count :])
        strength = common + own[:, :, None]
        strength[..., :2] += self.expected[:, :, None]
        return torch.exp(strength @ self.basis.T + self.ring @ self.shared[: self.rings.count])

    def precision(self) -> tuple[Float[Tensor, " a"], Float[Tensor, " shared"]]:
        """Diagonal of the inverse covariance of the priors of item and shared parameters."""
        item = self.widths.of_item(self.basis.shape[1], self.cross.shape[1])
        return item**-2, self.widths.of_shared(self.rings.count, self.curves, self.cross.shape[2]) ** -2

    def evaluate(self) -> float:
        """Log-posterior."""
        scale, (item, shared) = self.scale(), self.precision()
        fit = (scale * self.cross - scale.square() * self.power / 2).sum()
        return float(fit - (item * self.item.square()).sum() / 2 - (shared * self.shared.square()).sum() / 2)

    def system(self) -> ArrowSystem:
        """Gradient and Gauss-Newton curvature."""
        scale = self.scale()
        known = scale.square() * self.power
        slope = scale * self.cross - known
        by_basis = torch.einsum("stqb,bi->stqi", slope, self.basis)
        bend = torch.einsum("stqb,bi,bj->stqij", known, self.basis, self.basis)
        mixed = torch.einsum("stqb,bi,br->stqir", known, self.basis, self.ring)
        item, shared = self.precision()
        pull = torch.einsum("stqij,stqjp->stip", bend, self.by_shared)
        corner = torch.einsum("stqir,stqip->rp", mixed, self.by_shared)
        rings = torch.diag(known.sum((0, 1, 2)) @ self.ring)
        rest = torch.einsum("stqip,stqij,stqjr->pr", self.by_shared, bend, self.by_shared)
        return ArrowSystem(
            torch.einsum("tia,stij,tjc->sac", self.by_item, bend.sum(2), self.by_item) + torch.diag(item),
            torch.einsum("tia,stip->sap", self.by_item, torch.cat([mixed.sum(2), pull], -1)),
            torch.cat([torch.cat([rings, corner], 1), torch.cat([corner.T, rest], 1)]) + torch.diag(shared),
            torch.einsum("tia,sti->sa", self.by_item, by_basis.sum(2)) - item * self.item,
            torch.cat([slope.sum((0, 1, 2)) @ self.ring, torch.einsum("stqip,stqi->p", self.by_shared, by_basis)])
            - shared * self.shared,
        )

    def move(self, item: Tensor, shared: Tensor) -> None:
        """Add a step to the parameters."""
        self._before = self.item, self.shared
        self.item, self.shared = self.item + item, self.shared + shared

    def undo(self) -> None:
        """Put the parameters back."""
        self.item, self.shared = self._before

    def step_size(self, item: Tensor, shared: Tensor) -> float:
        """Largest step in units of the width of its prior, in units of the tolerance."""
        by_item, by_shared = self.precision()
        return max(float((s * p.sqrt()).abs().max()) for s, p in ((item, by_item), (shared, by_shared))) / TOLERANCE

    def learn_widths(self) -> None:
        """Fit the widths of priors, but that of places, to what the data say: a step of expectation maximisation."""
        covariance, d = self.system().covariance(), self.basis.shape[1]
        moment = self.item.square() + covariance.item.diagonal(dim1=1, dim2=2)
        curves = slice(self.rings.count, self.rings.count + self.curves)
        of_curves = self.shared[curves].square() + covariance.shared.diagonal()[curves]
        wanted = self.by_item.abs().sum((0, 1)) > 0
        by_tilt = moment[:, d:].unflatten(1, (-1, d))[self.power.sum((2, 3)) > 0]
        self.widths = Widths().learnt(
            of_curves.unflatten(0, (-1, 2)),
            moment[: len(moment) * bool(wanted[0]), :d],
            by_tilt[: len(by_tilt) * bool(wanted[d])],
        )


TABLES = ("cross", "power")


def _padded(values: Float[Tensor, "t *rest"], tilts: int) -> Float[Tensor, "tilt *rest"]:
    """Zeros for tilts that a series does not have."""
    return torch.cat([values.double(), values.new_zeros(tilts - len(values), *values.shape[1:]).double()])


def _basis(centres: Float[Tensor, "bin 2"], anisotropic: bool) -> Float[Tensor, "bin basis"]:
    square = centres.square().sum(-1, keepdim=True)
    decay = [square, double_angle(centres)] if anisotropic else [square]
    return torch.cat([torch.ones_like(square), *(BFACTOR_UNIT / 4 * part for part in decay)], 1)


def _item_design(tilts: int, basis: int, per_series: bool, per_tilt: bool) -> Float[Tensor, "tilt basis a"]:
    """Differentiate the strength of the tilts by the parameters of their series; zero for those not wanted."""
    one = torch.eye(basis, dtype=torch.float64)
    series = one.expand(tilts, -1, -1) * per_series
    own = torch.einsum("tu,ij->tiuj", torch.eye(tilts, dtype=torch.float64), one).flatten(2) * per_tilt
    return torch.cat([series, own], 2)


def _shared_design(
    functions: Float[Tensor, "series tilt function"], places: int, basis: int
) -> Float[Tensor, "series tilt place basis shared"]:
    """Differentiate the strength of the tilts by curves and places."""
    two = torch.eye(basis, 2, dtype=torch.float64)
    curves = torch.einsum("stf,ij->stifj", functions, two).flatten(3)[:, :, None].expand(-1, -1, places, -1, -1)
    several = torch.eye(places, dtype=torch.float64) * (places > 1)
    place = torch.einsum("qp,ij->qipj", several, two).flatten(2).expand(*functions.shape[:2], -1, -1, -1)
    return torch.cat([curves, place], 4)
