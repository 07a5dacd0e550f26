"""Arrow-shaped systems against the dense matrix they stand for."""

import pytest
import torch

from mlit.optim.arrow import ArrowSystem


def random_system(items=4, width=3, shared=5, seed=0):
    """A positive definite arrow and its dense form."""
    generator = torch.Generator().manual_seed(seed)
    size = items * width + shared
    item = torch.randn(items, width, width, generator=generator, dtype=torch.float64)
    item = item @ item.transpose(1, 2) + torch.eye(width)
    coupling = torch.randn(items, width, shared, generator=generator, dtype=torch.float64)
    core = torch.randn(shared, shared, generator=generator, dtype=torch.float64)
    touching = torch.einsum("pas,pab,pbt->st", coupling, torch.linalg.inv(item), coupling)
    core = core @ core.T + torch.eye(shared) + touching
    gradient = torch.randn(size, generator=generator, dtype=torch.float64)
    split = gradient[: items * width].reshape(items, width), gradient[items * width :]
    return ArrowSystem(item, coupling, core, *split)


def dense(system):
    """Matrix and right side in one piece, items first."""
    items, width, shared = system.coupling.shape
    matrix = torch.zeros(items * width + shared, items * width + shared, dtype=torch.float64)
    matrix[: items * width, : items * width] = torch.block_diag(*system.item)
    matrix[: items * width, items * width :] = system.coupling.flatten(0, 1)
    matrix[items * width :, : items * width] = system.coupling.flatten(0, 1).T
    matrix[items * width :, items * width :] = system.shared
    return matrix, torch.cat([system.item_gradient.flatten(), system.shared_gradient])


@pytest.mark.parametrize("shared", [0, 1, 5])
def test_solve_matches_the_dense_system(shared):
    system = random_system(shared=shared)
    matrix, gradient = dense(system)
    expected = torch.linalg.solve(matrix, gradient)
    item, hyper = system.solve()
    assert torch.allclose(torch.cat([item.flatten(), hyper]), expected)


@pytest.mark.parametrize("shared", [0, 1, 5])
def test_covariance_is_the_diagonal_of_the_inverse(shared):
    system = random_system(shared=shared, seed=1)
    inverse = torch.linalg.inv(dense(system)[0])
    covariance = system.covariance()
    item, hyper = covariance.item, covariance.shared
    for i, block in enumerate(item):
        assert torch.allclose(block, inverse[3 * i : 3 * i + 3, 3 * i : 3 * i + 3])
    assert hyper.shape == (shared, shared)
    assert torch.allclose(hyper, inverse[12:, 12:])


def test_damping_adds_to_the_diagonal_and_leaves_the_system_alone():
    system = random_system()
    before, _ = dense(system)
    after, gradient = dense(system.damped(0.5))
    assert torch.allclose(after, before + 0.5 * torch.diag(before.diagonal()))
    assert torch.equal(gradient, dense(system)[1])
    assert torch.equal(dense(system)[0], before)


def test_damping_shortens_the_step():
    system = random_system()
    lengths = [float(torch.cat([p.flatten() for p in system.damped(d).solve()]).norm()) for d in (0, 1, 100)]
    assert lengths[0] > lengths[1] > 10 * lengths[2]


def test_an_indefinite_system_is_refused():
    system = random_system()
    broken = ArrowSystem(system.item, 10 * system.coupling, system.shared, system.item_gradient, system.shared_gradient)
    with pytest.raises(torch.linalg.LinAlgError):
        broken.solve()


def test_cross_covariance_is_a_block_of_the_inverse():
    system = random_system(shared=5, seed=6)
    cross = system.covariance().cross.flatten(0, 1)
    assert torch.allclose(cross, torch.linalg.inv(dense(system)[0])[:12, 12:])
