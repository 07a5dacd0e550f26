"""Gaussian priors: penalty, gradient and precision say the same."""

import pytest
import torch

from mlit.deformation.prior import GaussianPrior, smooth_covariance


@pytest.fixture(params=["independent", "correlated"])
def prior(request):
    if request.param == "independent":
        return GaussianPrior.independent(12)
    groups = torch.arange(12).reshape(2, 3, 2).transpose(1, 2).reshape(4, 3)
    return GaussianPrior.correlated(groups, smooth_covariance((3,), 0.5, 2.0))


def raw_values():
    return torch.randn(12, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)


def test_gradient_is_the_derivative_of_the_penalty(prior):
    raw = raw_values()
    (expected,) = torch.autograd.grad(prior.penalty(raw), raw)
    assert torch.allclose(prior.gradient(raw.detach()), expected)


def test_precision_is_the_second_derivative_at_its_offset(prior):
    hessian = torch.autograd.functional.hessian(prior.penalty, raw_values())
    matrix = torch.zeros(20, 20, dtype=torch.float64)
    prior.add_precision(matrix, 5)
    assert torch.allclose(matrix[5:17, 5:17], hessian)
    matrix[5:17, 5:17] = 0
    assert float(matrix.abs().max()) == 0


def test_precision_adds_to_what_is_there(prior):
    once, twice = (torch.eye(12, dtype=torch.float64) for _ in range(2))
    prior.add_precision(once, 0)
    prior.add_precision(twice, 0)
    prior.add_precision(twice, 0)
    eye = torch.eye(12, dtype=torch.float64)
    assert torch.allclose(twice - eye, 2 * (once - eye))


def test_correlated_precision_inverts_the_covariance():
    covariance = smooth_covariance((2, 3), 0.4, 1.5)
    prior = GaussianPrior.correlated(torch.arange(6)[None], covariance)
    matrix = torch.zeros(6, 6, dtype=torch.float64)
    prior.add_precision(matrix, 0)
    assert torch.allclose(matrix @ covariance, torch.eye(6, dtype=torch.float64), atol=1e-7)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("length", [0.2, 0.6])
def test_smooth_covariance_is_positive_definite_with_the_stated_variance(shape, length):
    covariance = smooth_covariance(shape, length, common=3.0)
    assert torch.allclose(covariance, covariance.T)
    assert float(torch.linalg.eigvalsh(covariance).min()) > 5e-7
    assert torch.allclose(covariance.diagonal(), torch.tensor(10.0, dtype=torch.float64), atol=1e-5)


def test_correlation_falls_with_distance_towards_the_common_part():
    row = smooth_covariance((1, 9), 0.1, common=2.0)[0]
    assert bool((row.diff() < 0).all())
    assert float(row[-1]) == pytest.approx(4.0, abs=1e-3)
    column = smooth_covariance((9, 1), 0.1, common=2.0)[0]
    assert torch.allclose(row, column)


def test_longer_correlation_is_smoother():
    near, far = (smooth_covariance((1, 5), length, common=0.0)[0, 1] for length in (0.1, 1.0))
    assert near < far < 1
