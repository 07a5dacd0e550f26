"""Gaussian priors: penalty, gradient and precision say the same."""

import pytest
import torch

from mlit.deformation.defocus import Defocus
from mlit.deformation.image_warp import ImageWarp
from mlit.deformation.prior import GaussianPrior, smooth_covariance
from tests.brute_force import flat_geometry, imaging_of


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


def test_precision_is_the_second_derivative(prior):
    hessian = torch.autograd.functional.hessian(prior.penalty, raw_values())
    torch.testing.assert_close(dense_precision(prior), hessian)


def dense_precision(prior):
    """Precision of all parameters as one matrix, group by group."""
    matrix = torch.zeros(prior.groups.numel(), prior.groups.numel(), dtype=torch.float64)
    for group in prior.groups:
        matrix[group[:, None], group] = prior.precision
    return matrix


def test_correlated_precision_inverts_the_covariance():
    covariance = smooth_covariance((2, 3), 0.4, 1.5)
    prior = GaussianPrior.correlated(torch.arange(6)[None], covariance)
    assert torch.allclose(prior.precision @ covariance, torch.eye(6, dtype=torch.float64), atol=1e-7)
    assert torch.allclose(prior.width().square(), covariance.diagonal())


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


def draws(prior, log_widths, seed=0):
    """Parameters drawn from a prior with other widths."""
    factor = torch.linalg.cholesky(prior.covariance(torch.tensor(log_widths, dtype=torch.float64)))
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(prior.groups.shape, generator=generator, dtype=torch.float64) @ factor.T
    return torch.zeros(prior.groups.numel(), dtype=torch.float64).index_put((prior.groups,), values)


def learn(prior, data, noise, rounds=60):
    """Expectation maximisation from measurements with independent noise."""
    count = len(data)
    for _ in range(rounds):
        precision = torch.eye(count, dtype=torch.float64) / noise**2 + dense_precision(prior)
        covariance = torch.linalg.inv(precision)
        spread = covariance[prior.groups[:, :, None], prior.groups[:, None]].sum(0)
        prior = prior.learnt(covariance @ data / noise**2, spread)
    return prior.log_widths.exp()


def test_the_width_of_many_parameters_is_learnt_through_noise():
    prior = GaussianPrior.independent(600)
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(600, generator=generator, dtype=torch.float64)
    for true in (0.4, 2.5):
        data = draws(prior, [torch.tensor(true).log().item()]) + 0.5 * noise
        assert float(learn(prior, data, 0.5)) == pytest.approx(true, rel=0.15)


def test_few_parameters_leave_the_width_near_what_was_asked_for():
    prior = GaussianPrior.independent(1)
    found = float(learn(prior, torch.tensor([8.0]).double(), 0.5))
    assert 1.0 < found < 5.0, "a single large value is no proof of a large width"
    assert 0.5 < float(learn(prior, torch.tensor([0.0]).double(), 0.5)) < 1.0


def test_noise_alone_makes_the_width_small():
    prior = GaussianPrior.independent(400)
    noise = torch.randn(400, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    assert float(learn(prior, 0.5 * noise, 0.5)) < 0.2


def test_common_part_local_part_and_length_are_told_apart():
    imaging = imaging_of(flat_geometry(60, 400.0))
    prior = ImageWarp(imaging, (4, 4), 4.0, 2.0, 0.5).prior
    data = draws(prior, [0.7, -0.5, -1.0])
    found = learn(prior, data, 0.05, rounds=15).log()
    torch.testing.assert_close(found, torch.tensor([0.7, -0.5, -1.0]).double(), rtol=0, atol=0.25)


def test_a_block_keeps_learnt_widths_in_its_state():
    imaging = imaging_of(flat_geometry(5, 400.0))
    block, other = (Defocus(imaging, 0.05) for _ in range(2))
    block.learn_prior(torch.full((5,), 3.0).double(), torch.tensor([[0.05]]).double())
    assert float(block.get_buffer("log_widths")) > 0.3
    assert (
        float(block.prior.penalty(torch.ones(5).double()))
        < 2.0
        < 2.5
        == float(other.prior.penalty(torch.ones(5).double()))
    )
    other.load_state_dict(block.state_dict())
    assert torch.equal(other.prior.precision, block.prior.precision)
