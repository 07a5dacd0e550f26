import math

import pytest
import torch

from mlit.likelihood.depth_hand import Fit, HandEvidence, log_likelihood_ratio


def test_evidence_counts_standard_errors_of_the_mean():
    torch.manual_seed(0)
    difference = 0.3 + torch.randn(400, dtype=torch.float64)
    plain = float(difference.mean() / difference.std() * math.sqrt(400))
    assert HandEvidence.of(difference, 10**9).sigmas == pytest.approx(plain, rel=0.02)
    alone = HandEvidence.of(difference, 400)
    assert alone.sigmas == pytest.approx(plain / math.sqrt(2), rel=0.02)
    assert (alone.verdict, alone.particles) == ("as stated", 400)
    assert HandEvidence.of(-difference, 400).verdict == "opposite"
    assert HandEvidence.of(-difference, 400).sigmas == -alone.sigmas


def test_few_particles_are_less_sure():
    few = torch.tensor([1.0, 2.0, 1.5], dtype=torch.float64)
    many = few.repeat(100)
    assert 1.0 < HandEvidence.of(few, 10**9).sigmas < 3.0  # Student: 5.2 with two degrees of freedom
    assert HandEvidence.of(many, 10**9).sigmas > 20


@pytest.mark.parametrize("values", [[], [1.0], [0.0, 0.0, 0.0]])
def test_nothing_to_tell_is_no_verdict(values):
    evidence = HandEvidence.of(torch.tensor(values, dtype=torch.float64), 10)
    assert (evidence.sigmas, evidence.verdict) == (0.0, "cannot tell")


def test_evidence_of_noise_is_rarely_sure():
    torch.manual_seed(1)
    sigmas = [HandEvidence.of(torch.randn(30, dtype=torch.float64), 10**9).sigmas for _ in range(2000)]
    assert 0.95 < torch.tensor(sigmas).std() < 1.05
    assert sum(abs(s) > 3 for s in sigmas) < 20


def test_a_stronger_transfer_function_gains_nothing():
    """The wrong sign comes with a stronger transfer function for half of the particles, a weaker one for the rest."""
    torch.manual_seed(2)
    true = torch.rand(50, 5, 40, dtype=torch.float64) + 0.1
    wrong = true * torch.tensor([1.5, 0.5], dtype=torch.float64).repeat(25)[:, None, None]
    fits = [Fit((true * other).sum(-1), other.square().sum(-1)) for other in (true, wrong)]
    ratio = log_likelihood_ratio(*fits)
    assert (ratio > 0).all()
    torch.testing.assert_close(log_likelihood_ratio(fits[1], fits[0]), -ratio)
    assert (fits[1].cross > fits[0].cross)[::2].all()  # what correlation alone would have said
