"""The whole model of a series: Jacobians by forward mode against finite differences."""

import pytest
import torch

from mlit.deformation.defocus import Defocus
from mlit.deformation.image_warp import ImageWarp
from mlit.deformation.local_coordinates import View, local_tangent
from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.deformation.series_model import SeriesModel
from mlit.deformation.stage_angles import StageAngles
from mlit.deformation.volume_warp import VolumeWarp
from tests.brute_force import imaging_of


def make(geometry, particles, names=("image_warp", "volume_warp", "stage_angles", "defocus")):
    blocks = {
        "image_warp": lambda: ImageWarp(imaging_of(geometry), (2, 3), 8.0, 3.0, 0.5),
        "volume_warp": lambda: VolumeWarp(imaging_of(geometry), (2, 3, 2, 4), 4.0, 0.5),
        "stage_angles": lambda: StageAngles(imaging_of(geometry), 0.5),
        "stage": lambda: StageAngles(imaging_of(geometry), 0.5, physical=True),
        "defocus": lambda: Defocus(imaging_of(geometry), 0.05),
    }
    model = SeriesModel(
        imaging_of(geometry), Poses(*particles, PosePrior(5.0, 2.0)), [blocks[name]() for name in names]
    )
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


def finite_difference(model, poses, hyper, step=1e-5):
    """Local change of all images along a direction of the parameters."""
    with torch.no_grad():
        at = [model.view_at(model.poses.raw + t * poses, model.hyper + t * hyper) for t in (-step, step)]
        middle = model()
        change = View(*[(getattr(at[1], f) - getattr(at[0], f)) / (2 * step) for f in vars(middle)])
        return local_tangent(middle, change)[..., model.coordinates]


def test_jacobians_by_poses_match_finite_differences(geometry, particles):
    model = make(geometry, particles)
    found = model.jacobians().poses
    assert found.shape == (5, 4, 6, 6)
    for k in range(6):
        direction = torch.zeros(5, 6, dtype=torch.float64)
        direction[:, k] = 1
        expected = finite_difference(model, direction, torch.zeros_like(model.hyper))
        assert torch.allclose(found[..., k], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["image_warp", "volume_warp", "stage_angles", "stage", "defocus"])
def test_jacobians_by_each_parameter_of_a_block_match_finite_differences(geometry, particles, name):
    """Parameter by parameter, so that a wrong colouring (a tilt that sees another's parameter) shows."""
    model = make(geometry, particles, (name,))
    jacobians = model.jacobians()
    hyper = model.hyper.detach()
    assert sorted(jacobians.columns.unique().tolist()) == list(range(len(hyper)))
    largest = 0.0
    for parameter in range(len(hyper)):
        direction = torch.zeros_like(hyper)
        direction[parameter] = 1
        expected = finite_difference(model, torch.zeros(5, 6, dtype=torch.float64), direction)
        found = torch.einsum("ptic,tc->pti", jacobians.hyper, direction[jacobians.columns])
        assert torch.allclose(found, expected, atol=1e-7), parameter
        largest = max(largest, float(expected.abs().max()))
    assert largest > 1e-3


def test_jacobians_of_all_blocks_together(geometry, particles):
    model = make(geometry, particles)
    jacobians = model.jacobians()
    generator = torch.Generator().manual_seed(5)
    poses = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    hyper = torch.randn(model.hyper.shape, generator=generator, dtype=torch.float64)
    found = torch.einsum("ptik,pk->pti", jacobians.poses, poses)
    found = found + torch.einsum("ptic,tc->pti", jacobians.hyper, hyper[jacobians.columns])
    assert torch.allclose(found, finite_difference(model, poses, hyper), atol=1e-6)


def test_a_model_without_blocks_has_poses_only(geometry, particles):
    model = make(geometry, particles, ())
    jacobians = model.jacobians()
    assert model.hyper.shape == (0,)
    assert jacobians.hyper.shape == (5, 4, 6, 0)
    assert jacobians.columns.shape == (4, 0)
    expected = geometry.project(model.poses.at(model.poses.raw)[0])
    assert torch.allclose(model().xy_angstrom, expected.xy_angstrom)


def test_zero_is_the_starting_geometry(geometry, particles):
    model = make(geometry, particles)
    zero = torch.zeros_like(model.hyper)
    view = model.view_at(torch.zeros_like(model.poses.raw), zero)
    assert torch.allclose(view.xy_angstrom, geometry.project(particles[0]).xy_angstrom)
    assert torch.allclose(view.defocus_um, geometry.project(particles[0]).defocus_um)
    assert torch.allclose(view.rotation, geometry.orient(particles[1], particles[0]))


def test_present_geometry_gives_the_present_views(geometry, particles):
    model = make(geometry, particles)
    position, rotation = model.poses.at(model.poses.raw)
    now, view = model.imaging().geometry, model()
    assert not now.image_warp.requires_grad
    assert torch.allclose(now.project(position).xy_angstrom, view.xy_angstrom)
    assert torch.allclose(now.orient(rotation, position), view.rotation)


def test_held_blocks_keep_their_values_and_leave_the_system(geometry, particles):
    model = make(geometry, particles)
    before = model()
    model.activate(["defocus"])
    assert [block.name for block in model.active_blocks] == ["defocus"]
    assert model.hyper.shape == (4,)
    assert torch.allclose(model().xy_angstrom, before.xy_angstrom)
    assert torch.allclose(model().rotation, before.rotation)
    jacobians = model.jacobians()
    assert jacobians.hyper.shape == (5, 4, 6, 1)
    assert float(jacobians.poses.abs().max()) == 0
    model.activate(["poses", "image_warp"])
    assert float(model.jacobians().poses.abs().max()) > 0
    assert [part.shape for _, part in model.split(model.hyper)] == [(48,)]


def test_penalty_is_the_sum_of_all_priors(geometry, particles):
    model = make(geometry, particles)
    weight = torch.linspace(0.1, 1.0, len(model.poses.raw), dtype=torch.float64)
    expected = sum(w * raw.square().sum() / 2 for w, raw in zip(weight, model.poses.raw, strict=True))
    for block in model.block_list:
        expected = expected + block.prior.penalty(block.raw)
    assert torch.allclose(model.penalty(weight), expected)
    assert model.penalty(weight).requires_grad


def test_gradients_flow_through_the_geometry(geometry, particles):
    model = make(geometry, particles)
    hyper = model.hyper.detach().requires_grad_()
    poses = model.poses.raw.detach().requires_grad_()

    def outputs(p, h):
        view = model.view_at(p, h)
        return view.xy_angstrom, view.rotation, view.defocus_um, view.aberrations

    assert torch.autograd.gradcheck(outputs, (poses, hyper), fast_mode=True)
