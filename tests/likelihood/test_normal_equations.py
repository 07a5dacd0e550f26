"""Assembly of the joint system against dense matrices."""

import pytest
import torch

from mlit.deformation.defocus import Defocus
from mlit.deformation.image_warp import ImageWarp
from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.deformation.series_model import SeriesModel
from mlit.likelihood.normal_equations import assemble, with_prior
from tests.brute_force import flat_geometry, imaging_of, rotations


@pytest.fixture
def model():
    geometry = flat_geometry(3, 400.0)
    place = torch.tensor([[100.0, 90, 60], [300, 200, 40], [220, 310, 70], [50, 330, 55]]).double()
    blocks = [ImageWarp(imaging_of(geometry), (2, 1), 8.0, 3.0, 0.5), Defocus(imaging_of(geometry), 0.05)]
    made = SeriesModel(imaging_of(geometry), Poses(place, rotations(4), PosePrior(5.0, 2.0)), blocks)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return made


@pytest.fixture
def local():
    generator = torch.Generator().manual_seed(1)
    gradient = torch.randn(4, 3, 6, generator=generator, dtype=torch.float64)
    root = torch.randn(4, 3, 6, 6, generator=generator, dtype=torch.float64)
    return gradient, root @ root.transpose(-1, -2)


def dense_jacobian(model):
    """Local coordinates of all images by all parameters, by reverse-mode differentiation of the surrogate."""
    jacobians, count = model.jacobians(), len(model.hyper)
    dense = torch.zeros(4, 3, 6, 24 + count, dtype=torch.float64)
    for particle in range(4):
        dense[particle, :, :, 6 * particle : 6 * particle + 6] = jacobians.poses[particle]
    for tilt in range(3):
        for column, parameter in enumerate(jacobians.columns[tilt].tolist()):
            dense[:, tilt, :, 24 + parameter] += jacobians.hyper[:, tilt, :, column]
    return dense


def dense_system(system):
    matrix = torch.zeros(24 + len(system.shared), 24 + len(system.shared), dtype=torch.float64)
    matrix[:24, :24] = torch.block_diag(*system.item)
    matrix[:24, 24:] = system.coupling.flatten(0, 1)
    matrix[24:, :24] = matrix[:24, 24:].T
    matrix[24:, 24:] = system.shared
    return matrix, torch.cat([system.item_gradient.flatten(), system.shared_gradient])


def test_assembly_is_the_chain_rule(model, local):
    gradient, curvature = local
    system = assemble(model.jacobians(), gradient, curvature, len(model.hyper))
    jacobian = dense_jacobian(model)
    matrix, right = dense_system(system)
    assert torch.allclose(matrix, torch.einsum("ptia,ptij,ptjb->ab", jacobian, curvature, jacobian))
    assert torch.allclose(right, torch.einsum("ptia,pti->a", jacobian, gradient))


def test_priors_add_their_curvature_and_pull(model, local):
    gradient, curvature = local
    bare = assemble(model.jacobians(), gradient, curvature, len(model.hyper))
    matrix, right = dense_system(with_prior(bare, model))
    before, right_before = dense_system(bare)
    model.zero_grad()
    model.penalty().backward()
    pull = torch.cat([model.poses.raw.grad.flatten(), *[b.raw.grad for b in model.block_list]])
    assert torch.allclose(right_before - right, pull)
    start = torch.cat([p.detach().flatten() for p in (model.poses.raw, *[b.raw for b in model.block_list])])

    def penalty(values):
        poses, *rest = values.split([24, *[b.raw.numel() for b in model.block_list]])
        parts = [b.prior.penalty(r) for b, r in zip(model.block_list, rest, strict=True)]
        return poses.square().sum() / 2 + sum(parts)

    assert torch.allclose(matrix - before, torch.autograd.functional.hessian(penalty, start), atol=1e-8)


def test_poses_that_are_held_are_not_moved(model, local):
    model.activate(["defocus"])
    gradient, curvature = local
    system = with_prior(assemble(model.jacobians(), gradient, curvature, len(model.hyper)), model)
    item, shared = system.solve()
    assert float(item.abs().max()) == 0
    assert shared.shape == (3,)
    assert float(shared.abs().min()) > 0


def test_a_series_without_hyperparameters(local):
    geometry = flat_geometry(3, 400.0)
    poses = Poses(torch.full((4, 3), 100.0, dtype=torch.float64), rotations(4), PosePrior(5.0, 2.0))
    model = SeriesModel(imaging_of(geometry), poses, [])
    system = with_prior(assemble(model.jacobians(), *local, 0), model)
    item, shared = system.solve()
    assert shared.shape == (0,)
    assert torch.allclose(torch.einsum("pab,pb->pa", system.item, item), system.item_gradient)
