"""Evidence for particles and tilts, against densities and draws."""

import math

import pytest
import torch
from torch.distributions import Normal

from mlit.likelihood.credence import LEAST_WEIGHT, Credence

PARTICLES, TILTS = 5, 4


def positive(seed, *shape):
    return 0.1 + torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def log_density_ratio(held_out, cost, power):
    width = power.sqrt()
    return Normal(power / 2 - cost, width).log_prob(held_out) - Normal(-power / 2, width).log_prob(held_out)


def with_particles(*evidence):
    particle = torch.tensor(evidence, dtype=torch.float64)
    return Credence(particle, torch.full((2,), 9.0, dtype=torch.float64), torch.ones(2, dtype=torch.float64))


def test_evidence_is_the_ratio_of_densities_of_the_sums():
    cost, power = 0.2 * positive(0, PARTICLES, TILTS), 4 * positive(1, PARTICLES, TILTS)
    held_out, lit = positive(2, PARTICLES, TILTS) - 0.6, positive(3, TILTS)
    found = Credence.of(held_out, cost, power, lit)
    torch.testing.assert_close(found.particle, log_density_ratio(held_out.sum(1), cost.sum(1), power.sum(1)))
    torch.testing.assert_close(found.tilt, log_density_ratio(held_out.sum(0), cost.sum(0), power.sum(0)))
    assert torch.equal(found.lit, lit)


@pytest.mark.parametrize("false_fraction", [0.05, 0.3])
def test_probabilities_are_those_of_draws(false_fraction):
    """Of the entries that are given some probability, that share holds a molecule."""
    count, power, cost = 200_000, 6.0, 1.5
    generator = torch.Generator().manual_seed(4)
    there = torch.rand(count, 1, generator=generator) >= false_fraction
    mean = torch.where(there, power / 2 - cost, -power / 2).double()
    drawn = mean + math.sqrt(power) * torch.randn(count, 1, generator=generator, dtype=torch.float64)
    same = torch.ones_like(drawn)
    found = Credence.of(drawn, cost * same, power * same, same[0]).particle_probability(false_fraction)
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        some = (found >= low) & (found < high)
        assert int(some.sum()) > 300
        assert float(found[some].mean()) == pytest.approx(float(there[some, 0].double().mean()), abs=0.06)


@pytest.mark.parametrize(("held_out", "cost", "power"), [(-20.0, 5.0, 4.0), (3.0, 5.0, 4.0), (0.0, 0.0, 0.0)])
def test_nothing_is_learnt_where_errors_leave_nothing_of_the_signal_or_nothing_is_seen(held_out, cost, power):
    one = torch.ones(1, 1, dtype=torch.float64)
    found = Credence.of(held_out * one, cost * one, power * one, one[0])
    assert float(found.particle) == float(found.tilt) == 0
    assert float(found.particle_probability(0.1)) == pytest.approx(0.9)


def test_all_count_fully_before_anything_is_known():
    known_nothing = Credence.certain(PARTICLES, TILTS)
    assert torch.equal(known_nothing.image_weight(0.3), torch.ones(PARTICLES, TILTS, dtype=torch.float64))
    assert torch.equal(known_nothing.lit, torch.ones(TILTS, dtype=torch.float64))


def test_a_share_of_zero_believes_all():
    assert torch.equal(with_particles(-1e6, 0.0, -math.inf).particle_weight(0.0), torch.ones(3, dtype=torch.float64))


def test_what_is_no_particle_keeps_a_little_weight_and_no_probability():
    credence = with_particles(-1e6, 1e6)
    assert float(credence.particle_probability(0.05)[0]) < 1e-12
    assert credence.particle_weight(0.05).tolist() == pytest.approx([LEAST_WEIGHT, 1.0])
    assert 0 < LEAST_WEIGHT < 0.01


def test_images_count_by_particle_and_tilt():
    one = torch.ones(2, dtype=torch.float64)
    credence = Credence(torch.tensor([50.0, 1.0]).double(), torch.tensor([50.0, -50.0]).double(), one)
    weight, likely = credence.image_weight(0.5), 1 / (1 + math.exp(-1))
    assert weight[:, 0].tolist() == pytest.approx([1.0, likely])
    assert float(weight[:, 1].max()) < 1e-12
