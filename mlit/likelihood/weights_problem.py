"""The strength of the signal in all series as one objective: log-posterior of amplitudes and B factors.

The logarithm of what scales the reference, in ring r of tilt t of series s at place q, is linear in all parameters:

    x = h(r) + expected(t, r) + φ(r) · (curves(dose, angle) + series(s) + tilt(s, t) + place(q)),   φ = (1, k²/4)

h is what all images share: errors of the references, and units. It is free, so that weights rest on how images differ
from each other. φ has two more entries, k² cos 2θ / 4 and k² sin 2θ / 4, where the B factor may depend on direction.

No tilt obeys this exactly: contrast transfer, neighbours and the spectrum of the noise are known to a few per cent, at
the lowest frequencies not even that. So each tilt deviates from x in each ring by a random amount, whose width in the
ring is learnt. It limits what a ring can say, however strong its signal: information K becomes K / (1 + width² K).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.likelihood.place_cells import PlaceCells
from mlit.likelihood.pooled_curves import PooledCurves, expected_loss, nearest_gaussian, path_strength
from mlit.likelihood.signal_table import Rings, SignalTable
from mlit.likelihood.weights_design import item_design, padded, shared_design, signal_basis
from mlit.likelihood.weights_prior import BFACTOR_UNIT, Widths
from mlit.optim.arrow import ArrowSystem

TOLERANCE = 0.01  # of a standard error
TINY = torch.finfo(torch.float64).tiny
MOST_VARIANCE = 100.0  # of the logarithm of the signal of a tilt in a ring
BISECTIONS = 40
ONE_CELL = PlaceCells()


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
    cells
        Places of their tables.
    """

    def __init__(
        self,
        series: Sequence[SeriesSignal],
        rings: Rings,
        per_series: bool = True,
        per_tilt: bool = True,
        anisotropic: bool = False,
        cells: PlaceCells = ONE_CELL,
    ) -> None:
        self.rings, self.widths = rings, Widths()
        self.tilts = [len(one.dose) for one in series]
        tilts = max(self.tilts)
        cross, power = (torch.stack([padded(getattr(s.table, n), tilts) for s in series]) for n in TABLES)
        self.cross = cross * (power > 0)  # the power of hardly anything can come out negative, since boxes are cropped
        self.power = power.clamp(min=0)
        centres = rings.centres()
        self.dose = torch.stack([padded(one.dose, tilts) for one in series])
        self.basis = signal_basis(centres, anisotropic)
        self.ring = torch.nn.functional.one_hot(torch.arange(rings.bins) // rings.sectors).double()
        self.frequency = centres.norm(dim=-1)
        self.loss = expected_loss(self.dose, self.frequency)
        self.path = torch.stack([padded(path_strength(one.angle_rad), tilts) for one in series])
        seen = [s.table.power.sum((1, 2)) > 0 for s in series]
        curves = PooledCurves.spanning(
            *(
                torch.cat([getattr(s, n)[k] if k.any() else getattr(s, n) for s, k in zip(series, seen, strict=True)])
                for n in ("dose", "angle_rad")
            )
        )
        functions = torch.stack([padded(curves.basis(s.dose, s.angle_rad), tilts) for s in series])
        self.by_item = item_design(tilts, self.basis.shape[1], per_series, per_tilt)
        self.by_shared = shared_design(functions, cells.basis(), self.basis.shape[1])
        self.curves, self.place_nodes = 2 * functions.shape[-1], cells.basis().shape[1]
        self.item = torch.zeros(len(series), self.by_item.shape[-1], dtype=torch.float64)
        self.shared = torch.zeros(rings.count + self.by_shared.shape[-1], dtype=torch.float64)
        self._before = self.item, self.shared
        self.trust = torch.ones_like(self.power)

    def scale(self) -> Float[Tensor, "series tilt place bin"]:
        """Factor of the reference."""
        own = torch.einsum("tia,sa->sti", self.by_item, self.item)
        common = torch.einsum("stqip,p->stqi", self.by_shared, self.shared[self.rings.count :])
        strength = (common + own[:, :, None]) @ self.basis.T
        expected = self.path[..., None] + self.loss
        return torch.exp(strength + expected[:, :, None] + self.common())

    def common(self) -> Float[Tensor, " bin"]:
        """Logarithm of what all images share."""
        return self.ring @ self.shared[: self.rings.count]

    def known(self) -> Float[Tensor, "series tilt place bin"]:
        """Information on the logarithm of the signal."""
        return self.trust * self.scale().square() * self.power

    def nearest_expected(self) -> Float[Tensor, "series tilt 2"]:
        """Logarithm of the amplitude and B factor (units of 100 Å²) nearest to what dose and path let expect.

        Bins count by what they know in all images together and by what the damage of a tilt leaves of it.
        """
        information = self.known().sum((0, 1, 2)) * torch.exp(2 * self.loss)
        nearest = nearest_gaussian(self.loss.flatten(0, 1), self.frequency, information.flatten(0, 1))
        nearest = nearest.unflatten(0, self.dose.shape) / torch.tensor([1.0, BFACTOR_UNIT])
        return nearest + torch.stack([self.path, torch.zeros_like(self.path)], -1)

    def precision(self) -> tuple[Float[Tensor, " a"], Float[Tensor, " shared"]]:
        """Diagonal of the inverse covariance of the priors of item and shared parameters."""
        item = self.widths.of_item(self.basis.shape[1], self.cross.shape[1])
        return item**-2, self.widths.of_shared(self.rings.count, self.curves, self.place_nodes) ** -2

    def evaluate(self) -> float:
        """Log-posterior."""
        scale, (item, shared) = self.scale(), self.precision()
        fit = (self.trust * (scale * self.cross - scale.square() * self.power / 2)).sum()
        return float(fit - (item * self.item.square()).sum() / 2 - (shared * self.shared.square()).sum() / 2)

    def system(self) -> ArrowSystem:
        """Gradient and Gauss-Newton curvature."""
        scale = self.scale()
        known = self.trust * scale.square() * self.power
        slope = self.trust * scale * self.cross - known
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

    def learn_trust(self) -> None:
        """See how far tilts deviate from the model in each ring, and trust the ring no more than that.

        The squared residuals over their expected variance have the mean one (Paule & Mandel 1982).
        """
        scale = self.scale()
        known = scale.square() * self.power
        square = (self.cross - scale * self.power).square() / self.power.clamp(min=TINY)
        counted = (self.power > 0).double()
        low, high = torch.zeros(2, self.rings.count, dtype=torch.float64)
        high = high + MOST_VARIANCE
        for _ in range(BISECTIONS):
            variance = (low + high) / 2
            excess = counted * (square / (1 + known * (self.ring @ variance)) - 1)
            above = excess.sum((0, 1, 2)) @ self.ring > 0
            low, high = variance.where(above, low), high.where(above, variance)
        self.trust = 1 / (1 + known * (self.ring @ low))

    def learn_widths(self) -> float:
        """Fit the widths of priors, but that of places, to what the data say: a step of expectation maximisation.

        Returns the largest relative change of a width.
        """
        covariance, d = self.system().covariance(), self.basis.shape[1]
        moment = self.item.square() + covariance.item.diagonal(dim1=1, dim2=2)
        curves = slice(self.rings.count, self.rings.count + self.curves)
        of_curves = self.shared[curves].square() + covariance.shared.diagonal()[curves]
        wanted = self.by_item.abs().sum((0, 1)) > 0
        by_tilt = moment[:, d:].unflatten(1, (-1, d))[self.power.sum((2, 3)) > 0]
        before = self.widths
        self.widths = Widths().learnt(
            of_curves.unflatten(0, (-1, 2)),
            moment[: len(moment) * bool(wanted[0]), :d],
            by_tilt[: len(by_tilt) * bool(wanted[d])],
        )
        return self.widths.change(before)


TABLES = ("cross", "power")
