"""Assembly of the joint system, whichever part is eliminated first, against dense matrices."""

import pytest
import torch

from mlit.deformation.defocus import Defocus
from mlit.deformation.image_warp import ImageWarp
from mlit.deformation.phase_shift import PhaseShift
from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.deformation.series_model import SeriesModel
from mlit.deformation.spherical_aberration import SphericalAberration
from mlit.deformation.volume_warp import VolumeWarp
from mlit.likelihood.normal_equations import assemble, with_prior
from tests.brute_force import flat_geometry, imaging_of, rotations

POSES = 24
WEIGHT = torch.tensor([1.0, 0.3, 1e-3, 0.9], dtype=torch.float64)


def blocks_of(imaging, kind):
    """Blocks whose parameters belong to single tilts, and such that act on several."""
    local = [ImageWarp(imaging, (2, 1), 8.0, 3.0, 0.5), Defocus(imaging, 0.05)]
    several = [
        VolumeWarp(imaging, (2, 1, 1, 3), 4.0, 0.5),
        PhaseShift(imaging, 20.0, 5.0),
        SphericalAberration(imaging, 0.5),
    ]
    return {"local": local, "several": several, "both": [several[0], *local, *several[1:]], "none": []}[kind]


@pytest.fixture(params=["local", "several", "both", "none"])
def model(request):
    imaging = imaging_of(flat_geometry(3, 400.0))
    place = torch.tensor([[100.0, 90, 60], [300, 200, 40], [220, 310, 70], [50, 330, 55]]).double()
    made = SeriesModel(imaging, Poses(place, rotations(4), PosePrior(5.0, 2.0)), blocks_of(imaging, request.param))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return made


@pytest.fixture
def local(model):
    generator, count = torch.Generator().manual_seed(1), len(model.coordinates)
    gradient = torch.randn(4, 3, count, generator=generator, dtype=torch.float64)
    root = torch.randn(4, 3, count, count, generator=generator, dtype=torch.float64)
    return gradient, root @ root.transpose(-1, -2)


def dense_jacobian(model):
    """Local coordinates of all images by all parameters."""
    jacobians, count = model.jacobians(), len(model.hyper)
    dense = torch.zeros(4, 3, len(model.coordinates), POSES + count, dtype=torch.float64)
    for particle in range(4):
        dense[particle, :, :, 6 * particle : 6 * particle + 6] = jacobians.poses[particle]
    for tilt in range(3):
        for column, parameter in enumerate(jacobians.columns[tilt].tolist()):
            dense[:, tilt, :, POSES + parameter] += jacobians.hyper[:, tilt, :, column]
    return dense


def dense_normal_equations(model, local):
    """Curvature and gradient of likelihood and priors, by explicit sums and automatic differentiation."""
    gradient, curvature = local
    jacobian = dense_jacobian(model)
    matrix = torch.einsum("ptia,ptij,ptjb->ab", jacobian, curvature, jacobian)
    right = torch.einsum("ptia,pti->a", jacobian, gradient)
    active = [b for b in model.block_list if b.raw.requires_grad]
    held = not model.poses.raw.requires_grad
    start = torch.cat([p.detach().flatten() for p in (model.poses.raw, *[b.raw for b in active])])

    def penalty(values):
        poses, *rest = values.split([POSES, *[b.raw.numel() for b in active]])
        return WEIGHT @ poses.reshape(4, 6).square().sum(1) / 2 + sum(
            b.prior.penalty(r) for b, r in zip(active, rest, strict=True)
        )

    pull = torch.autograd.functional.jacobian(penalty, start)
    if held:
        pull[:POSES] = 0
    return matrix + torch.autograd.functional.hessian(penalty, start), right - pull


def system_of(model, local, tilts_first):
    return with_prior(assemble(model.jacobians(), *local, model.layout(), tilts_first), model, WEIGHT)


@pytest.mark.parametrize("tilts_first", [False, True])
def test_the_step_is_that_of_the_dense_system(model, local, tilts_first):
    matrix, right = dense_normal_equations(model, local)
    expected = torch.linalg.solve(matrix, right)
    system = system_of(model, local, tilts_first)
    poses, hyper = system.solve()
    torch.testing.assert_close(torch.cat([poses.flatten(), hyper]), expected)
    gradient = torch.cat([part.flatten() for part in system.gradient])
    torch.testing.assert_close(gradient, right)
    other = system.with_gradient(*(2 * part.sin() for part in system.gradient))
    found = torch.cat([part.flatten() for part in other.solve()])
    torch.testing.assert_close(found, torch.linalg.solve(matrix, 2 * right.sin()))
    damped = torch.linalg.solve(matrix + 0.3 * torch.diag(matrix.diagonal()), right)
    torch.testing.assert_close(torch.cat([part.flatten() for part in system.damped(0.3).solve()]), damped)


@pytest.mark.parametrize("tilts_first", [False, True])
def test_the_covariance_is_a_part_of_the_dense_inverse(model, local, tilts_first):
    inverse = torch.linalg.inv(dense_normal_equations(model, local)[0])
    found, layout = system_of(model, local, tilts_first).covariance(), model.layout()
    for particle in range(4):
        own = slice(6 * particle, 6 * particle + 6)
        torch.testing.assert_close(found.poses[particle], inverse[own, own])
        for tilt in range(3):
            columns = POSES + layout.columns[tilt]
            torch.testing.assert_close(found.cross[particle, tilt], inverse[own][:, columns])
            torch.testing.assert_close(found.per_tilt[tilt], inverse[columns][:, columns])
    torch.testing.assert_close(found.variance(), inverse.diagonal()[POSES:])
    offset = 0
    for block in model.block_list:
        groups = block.prior.groups + offset
        dense = inverse[POSES + groups[:, :, None], POSES + groups[:, None]].sum(0)
        torch.testing.assert_close(found.of_groups(groups), dense)
        offset += block.raw.numel()


@pytest.mark.parametrize("tilts_first", [False, True])
def test_poses_that_are_held_are_not_moved(model, local, tilts_first):
    model.poses.raw.requires_grad_(False)
    poses, hyper = system_of(model, local, tilts_first).solve()
    assert float(poses.abs().max()) == 0
    if len(hyper):
        assert float(hyper.abs().min()) > 0


def test_what_leaves_less_is_eliminated_first(model, local):
    many = assemble(model.jacobians(), *local, model.layout())
    assert many.tilts_first == (model.layout().local.numel() > POSES)
    assert len(many.arrow.shared) <= max(POSES, len(model.hyper))
