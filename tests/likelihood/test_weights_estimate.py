"""Weights that were put into the images are found again, with errors as large as stated."""

import dataclasses
import math

import pytest
import torch

from mlit.likelihood.place_cells import PlaceCells
from mlit.likelihood.pooled_curves import PooledCurves, expected_loss, nearest_gaussian
from mlit.likelihood.signal_table import Rings, SignalTable
from mlit.likelihood.signal_weights import LEAST_DECAY, double_angle
from mlit.likelihood.weights_estimate import WeightsRequest, estimate_weights
from mlit.likelihood.weights_problem import SeriesSignal, WeightsProblem

FINEST = 1 / 10.0
GRID = PlaceCells(3, 2)  # of those that have places


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@dataclasses.dataclass
class Truth:
    """Strength of one series: logarithms of amplitudes, and B factors in Å²."""

    dose: torch.Tensor
    angle: torch.Tensor
    log_amplitude: torch.Tensor
    bfactor: torch.Tensor
    anisotropy: torch.Tensor | None = None
    places: torch.Tensor | None = None
    power: float = 900.0
    damage: float = 1.0  # in units of what is expected

    @classmethod
    def drawn(cls, tilts, seed, scatter=0.15, bscatter=40.0, series=(0.0, 0.0)):
        """Dose-symmetric tilts, 3° and 3 e/Å² each, whose signal scatters about what is expected."""
        angle = 3.0 * (torch.arange(tilts) - tilts // 2).double()
        dose = 3.0 * (angle.abs() - 0.1 * angle.sign()).argsort().argsort().double()
        angle = angle.deg2rad()
        amplitude = series[0] + angle.cos().log() / 2 + scatter * normal(tilts, seed=seed)
        return cls(dose, angle, amplitude, series[1] + bscatter * normal(tilts, seed=seed + 1000))

    def signal(self, rings, seed=None):
        """Table of noisy sums; references are known."""
        k = rings.centres()
        square, radius = k.square().sum(-1), k.norm(dim=-1)
        exponent = self.log_amplitude[:, None, None] + self.bfactor[:, None, None] * square / 4
        exponent = exponent + self.damage * expected_loss(self.dose, radius)[:, None]
        if self.anisotropy is not None:
            exponent = exponent + (self.anisotropy @ double_angle(k).T)[:, None] / 4
        if self.places is not None:
            cells = GRID.basis() @ self.places
            exponent = exponent + cells[:, :1] + cells[:, 1:] * square / 4
        power = (self.power * torch.exp(-15 * radius) / rings.sectors).expand(exponent.shape).clone()
        cross = torch.exp(exponent) * power
        if seed is not None:
            cross = cross + power.sqrt() * normal(*cross.shape, seed=seed)
        return SeriesSignal(SignalTable(cross, power), self.dose, self.angle)

    def without(self, *lost):
        """Lose some tilts."""
        kept = [i for i in range(len(self.dose)) if i not in lost]
        names = ("dose", "angle", "log_amplitude", "bfactor")
        return dataclasses.replace(self, **{name: getattr(self, name)[kept] for name in names})


def strength(weights, truth, frequency):
    """Logarithm of the signal of every tilt at a frequency, series counted in."""
    decay = weights.decay(torch.tensor([frequency]), truth.dose)[:, 0]
    return (weights.tilt_amplitude * weights.series_amplitude * decay).log()


def true_strength(truth, frequency):
    damage = truth.damage * expected_loss(truth.dose, torch.tensor([frequency]))[:, 0]
    return truth.log_amplitude + truth.bfactor * frequency**2 / 4 + damage


def spread(values):
    """Differences from the mean."""
    return values - values.mean()


SERIES = [Truth.drawn(41 - 4 * i, i, series=(0.3 * (i - 2), -60.0 * (i % 3))) for i in range(5)]


@pytest.fixture(scope="module")
def several():
    rings = Rings(FINEST)
    lost = [one.without(3, 7 + i) for i, one in enumerate(SERIES)]
    return lost, estimate_weights([t.signal(rings, seed=50 + i) for i, t in enumerate(lost)], rings, WeightsRequest())


def test_tilts_of_unequal_series_are_found(several):
    for truth, found in zip(*several, strict=True):
        for frequency in (1 / 30, 1 / 16):
            for weights in (found.weights, found.in_files):
                wanted, got = true_strength(truth, frequency), strength(weights, truth, frequency)
                assert float(torch.corrcoef(torch.stack([wanted, got]))[0, 1]) > 0.98
                low = truth.dose < 40
                assert float(spread((got - wanted)[low]).square().mean().sqrt()) < 0.06


def test_series_are_found_within_their_errors(several):
    true = torch.tensor([(t.log_amplitude - t.angle.cos().log() / 2).mean() for t in several[0]])
    found = torch.tensor([math.log(e.weights.series_amplitude) for e in several[1]])
    error = torch.tensor([e.errors.series_amplitude / e.weights.series_amplitude for e in several[1]])
    assert float((spread(found - true) / error).abs().max()) < 3
    assert found.argsort().tolist() == true.argsort().tolist()
    true = torch.tensor([t.bfactor.mean() for t in several[0]])
    found = torch.tensor([e.weights.series_bfactor_angstrom2 for e in several[1]])
    error = torch.tensor([e.errors.series_bfactor_angstrom2 for e in several[1]])
    assert float((spread(found - true) / error).abs().max()) < 3


def test_errors_of_tilts_are_as_large_as_their_error_bars():
    """Over 60 series, drawn anew; differences between tilts of one dose, as the series' own level is free."""
    rings, scores = Rings(FINEST), []
    for seed in range(6):
        truth = [Truth.drawn(31, 10 * seed + i, 0.2, 60.0) for i in range(10)]
        signals = [t.signal(rings, seed=900 + 10 * seed + i) for i, t in enumerate(truth)]
        for t, e in zip(truth, estimate_weights(signals, rings, WeightsRequest()), strict=True):
            amplitude, bfactor = e.weights.tilt_amplitude.log() - t.log_amplitude, e.weights.tilt_bfactor_angstrom2
            first = spread(amplitude) / (e.errors.tilt_amplitude / e.weights.tilt_amplitude)
            second = spread(bfactor - t.bfactor) / e.errors.tilt_bfactor_angstrom2
            scores.append(torch.stack([first, second]))
    rms = torch.cat(scores, 1).square().mean(1).sqrt()
    assert 0.85 < float(rms[0]) < 1.15
    assert 0.85 < float(rms[1]) < 1.15


def test_pooling_is_by_dose_and_angle_not_by_place_in_the_file():
    rings = Rings(FINEST)
    truth = [one.without(2) for one in SERIES[:3]]
    turned = [t.without() for t in truth]
    order = torch.arange(len(truth[1].dose) - 1, -1, -1)
    for name in ("dose", "angle", "log_amplitude", "bfactor"):
        setattr(turned[1], name, getattr(truth[1], name)[order])
    first, second = (
        estimate_weights([t.signal(rings) for t in one], rings, WeightsRequest(per_tilt=False))
        for one in (truth, turned)
    )
    for name in ("tilt_amplitude", "tilt_bfactor_angstrom2"):
        one, other = (getattr(e[1].weights, name) for e in (first, second))
        assert torch.allclose(one, other[order], rtol=1e-3)
        assert torch.allclose(getattr(first[0].weights, name), getattr(second[0].weights, name), rtol=1e-3)


def test_common_curves_alone_make_tilts_of_one_dose_and_angle_equal():
    rings = Rings(FINEST)
    found = estimate_weights([t.signal(rings, seed=3) for t in SERIES], rings, WeightsRequest(per_tilt=False))
    middle = [e.weights.tilt_amplitude[len(e.weights.tilt_amplitude) // 2] for e in found]
    assert max(middle) == pytest.approx(min(middle))
    assert len({e.weights.series_amplitude for e in found}) == 5
    equal = estimate_weights(
        [t.signal(rings, seed=3) for t in SERIES], rings, WeightsRequest(per_series=False, per_tilt=False)
    )
    assert {(e.weights.series_amplitude, e.weights.series_bfactor_angstrom2) for e in equal} == {(1.0, 0.0)}


def test_tilts_without_any_image_get_what_the_others_let_expect():
    rings = Rings(FINEST)
    signals = [t.signal(rings, seed=i) for i, t in enumerate(SERIES)]
    signals[1].table.cross[5] = signals[1].table.power[5] = 0
    found = estimate_weights(signals, rings, WeightsRequest())
    own = found[1]
    neighbours = own.weights.tilt_amplitude[[3, 4, 6, 7]].log()
    assert float((own.weights.tilt_amplitude[5].log() - neighbours.mean()).abs()) < 0.3
    assert float(own.errors.tilt_amplitude[5]) > 2 * float(own.errors.tilt_amplitude[6])


def test_one_dark_tilt_is_found_and_leaves_the_others_alone():
    rings, truth = Rings(FINEST), [t.without() for t in SERIES]
    before = estimate_weights([t.signal(rings, seed=i) for i, t in enumerate(truth)], rings, WeightsRequest())
    truth[2].log_amplitude[12] -= 2.5
    after = estimate_weights([t.signal(rings, seed=i) for i, t in enumerate(truth)], rings, WeightsRequest())
    ratio = after[2].weights.tilt_amplitude / before[2].weights.tilt_amplitude
    usual = ratio[[i for i in range(len(ratio)) if i != 12]]
    assert float(ratio[12]) < 0.2
    assert float((usual.log()).abs().max()) < 0.1


def test_what_all_images_share_is_no_weight():
    """References too sharp by a common curve change no weight by much."""
    rings = Rings(FINEST)
    curve = torch.exp(0.4 * torch.sin(60 * rings.centres().norm(dim=-1)))
    signals = [t.signal(rings) for t in SERIES]
    bent = [dataclasses.replace(s, table=SignalTable(s.table.cross * curve, s.table.power)) for s in signals]
    first, second = (estimate_weights(one, rings, WeightsRequest()) for one in (signals, bent))
    for truth, one, other in zip(SERIES, first, second, strict=True):
        change = strength(one.weights, truth, 1 / 16) - strength(other.weights, truth, 1 / 16)
        assert float(spread(change).abs().max()) < 0.08


def test_directions_of_the_decay_are_found():
    rings = Rings(FINEST, sectors=6)
    truth = [t.without() for t in SERIES[:3]]
    for i, one in enumerate(truth):
        angle = torch.tensor(0.4 + 0.5 * i)
        vector = 120 * torch.stack([torch.cos(2 * angle), torch.sin(2 * angle)]).double()
        one.anisotropy = vector.expand(len(one.dose), 2)
    found = estimate_weights(
        [t.signal(rings, seed=i) for i, t in enumerate(truth)], rings, WeightsRequest(anisotropic=True)
    )
    for one, other in zip(truth, found, strict=True):
        difference = other.weights.anisotropy_angstrom2 - one.anisotropy
        low = one.dose < 60
        assert float(difference[low].square().mean().sqrt()) < 25
        assert float((difference / other.errors.anisotropy_angstrom2)[low].square().mean().sqrt()) < 1.4


def test_places_are_found_and_the_same_for_all_series():
    rings, truth = Rings(FINEST), [t.without() for t in SERIES[:3]]
    places = torch.tensor([[0.2, 0.0], [-0.2, -30.0], [0.1, 30.0], [-0.1, 0.0], [0.0, 0.0], [0.0, 0.0]]).double()
    for one in truth:
        one.places = places
    found = estimate_weights([t.signal(rings, seed=i) for i, t in enumerate(truth)], rings, WeightsRequest(grid=(3, 2)))
    nodes, errors = found[0].weights.places, found[0].errors.places
    assert nodes.shape == (1, 2, 3, 2)
    assert torch.equal(nodes, found[2].weights.places)
    got = nodes.reshape(6, 2)
    score = (spread(got[:, 0].log()) - spread(places[:, 0])) / (errors.reshape(6, 2)[:, 0] / got[:, 0])
    assert float(score.abs().max()) < 3.5
    score = (spread(got[:, 1]) - spread(places[:, 1])) / errors.reshape(6, 2)[:, 1]
    assert float(score.abs().max()) < 3.5


def test_no_decay_in_files_is_weaker_than_warp_and_m_believe_and_the_best_is_none():
    rings = Rings(FINEST)
    weak = [dataclasses.replace(t, damage=0.2) for t in SERIES]
    found = estimate_weights([t.signal(rings, seed=i) for i, t in enumerate(weak)], rings, WeightsRequest())
    assert max(e.in_files.series_bfactor_angstrom2 for e in found) == 0
    for truth, e in zip(weak, found, strict=True):
        assert bool((e.in_files.tilt_bfactor_angstrom2 <= -LEAST_DECAY * truth.dose).all())
        for weights in (e.weights, e.in_files):
            wanted, got = true_strength(truth, 1 / 20), strength(weights, truth, 1 / 20)
            assert float(torch.corrcoef(torch.stack([wanted, got]))[0, 1]) > 0.97


def test_one_series_alone_has_no_weight_of_its_own():
    rings = Rings(FINEST)
    (found,) = estimate_weights([SERIES[0].signal(rings, seed=1)], rings, WeightsRequest())
    assert found.weights.series_amplitude == 1
    assert found.weights.series_bfactor_angstrom2 == 0


@pytest.mark.parametrize("anisotropic", [False, True])
@pytest.mark.parametrize("seed", [None, 1])
def test_gradient_and_curvature_are_those_of_the_objective(anisotropic, seed):
    """By finite differences; the curvature without noise, as Gauss-Newton is exact at the truth only."""
    rings = Rings(FINEST, count=5, sectors=6 if anisotropic else 1)
    truth = [t.without(*range(4, len(t.dose))) for t in SERIES[:2]]
    truth[0] = truth[0].without(1)
    for one in truth:
        one.places = torch.zeros(6, 2).double()
    problem = WeightsProblem([t.signal(rings, seed) for t in truth], rings, anisotropic=anisotropic, cells=GRID)
    problem.item = 0.05 * normal(*problem.item.shape, seed=1)
    problem.shared = 0.05 * normal(*problem.shared.shape, seed=2)
    if seed is None:
        problem.cross = problem.scale() * problem.power
    system, step = problem.system(), 1e-4
    item, shared = normal(*problem.item.shape, seed=3), normal(*problem.shared.shape, seed=4)
    values = []
    for sign in (-1, 0, 1):
        problem.move(sign * step * item, sign * step * shared)
        values.append(problem.evaluate())
        problem.undo()
    slope = (values[2] - values[0]) / (2 * step)
    wanted = (system.item_gradient * item).sum() + (system.shared_gradient * shared).sum()
    assert slope == pytest.approx(float(wanted), rel=1e-5 if seed else 1e-3)
    bend = -(values[0] - 2 * values[1] + values[2]) / step**2
    quadratic = torch.einsum("sa,sab,sb->", item, system.item, item) + shared @ system.shared @ shared
    quadratic = quadratic + 2 * torch.einsum("sa,sap,p->", item, system.coupling, shared)
    assert bend == pytest.approx(float(quadratic), rel=2e-3 if seed is None else 0.5)


def test_nearest_gaussian_is_that_of_what_is_known():
    k = Rings(FINEST).centres().norm(dim=-1)
    loss = torch.stack([0.3 - 50 * k.square(), expected_loss(torch.tensor(30.0).double(), k)])
    information = torch.exp(-15 * k).expand(2, -1)
    found = nearest_gaussian(loss, k, information)
    torch.testing.assert_close(found[0], torch.tensor([0.3, -200.0]).double(), rtol=1e-5, atol=1e-5)
    root = information[1].sqrt()
    design = torch.stack([torch.ones_like(k), k.square() / 4], 1) * root[:, None]
    expected = torch.linalg.lstsq(design, (loss[1] * root)[:, None]).solution[:, 0]
    torch.testing.assert_close(found[1], expected, rtol=1e-5, atol=1e-5)


def test_rings_that_obey_no_model_have_little_to_say():
    """Two of the rings deviate at random from tilt to tilt, far beyond the noise, and hold most of the information."""
    rings, strong = Rings(FINEST), [dataclasses.replace(t, power=20000.0) for t in SERIES]
    signals = [t.signal(rings, seed=i) for i, t in enumerate(strong)]
    for i, one in enumerate(signals):
        one.table.cross[:, :, :2] *= torch.exp(0.7 * normal(len(one.dose), 1, 2, seed=70 + i))
    scores = []
    for t, e in zip(strong, estimate_weights(signals, rings, WeightsRequest()), strict=True):
        got, wanted = strength(e.weights, t, 1 / 25), true_strength(t, 1 / 25)
        assert float(torch.corrcoef(torch.stack([got, wanted]))[0, 1]) > 0.99
        scores.append(spread(e.weights.tilt_amplitude.log() - t.log_amplitude))
        scores[-1] = scores[-1] / (e.errors.tilt_amplitude / e.weights.tilt_amplitude)
    assert 0.8 < float(torch.cat(scores).square().mean().sqrt()) < 1.2


def test_curves_have_no_mean_and_hold_beyond_their_ends():
    dose, angle = torch.linspace(0, 100, 21), torch.linspace(-1, 1, 21)
    curves = PooledCurves.spanning(dose, angle)
    knots = curves.basis(curves.dose_knots, torch.zeros(6))[:, :5]
    assert torch.allclose(knots.mean(0), torch.zeros(5).double(), atol=1e-9)
    covariance = knots @ knots.T
    assert 0.3 < float(covariance.diagonal().mean()) < 1
    beyond = curves.basis(torch.tensor([150.0]), torch.tensor([2.0]))
    assert torch.equal(beyond, curves.basis(torch.tensor([100.0]), torch.tensor([1.0])))
