"""The objective of a series: value, gradient, system and steps."""

import dataclasses

import pytest
import torch

from mlit.deformation.defocus import Defocus
from mlit.deformation.image_warp import ImageWarp
from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.deformation.series_model import SeriesModel
from mlit.deformation.stage_angles import StageAngles
from mlit.likelihood.image_batches import ImageBatches
from mlit.likelihood.matches import Matches
from mlit.likelihood.objective import Tolerance
from mlit.optim.levenberg_marquardt import Settings, maximise
from tests.brute_force import Blobs, flat_geometry, imaging_of, rotations
from tests.simulated import Setting

SIDE, PIXEL, TILTS = 480.0, 4.0, 3


def make_objective(error=0.0, amplitude_prior=None, seed=0):
    """Four molecules in three tilts of a small series, started with an error in units of the priors."""
    imaging = imaging_of(flat_geometry(TILTS, SIDE))
    blobs = Blobs.molecule(30.0, 5.5)
    blobs.weight *= 500
    setting = Setting.of(blobs, PIXEL, 10.0, 92.0, padding=3)
    place = torch.tensor([[150.0, 150, 50], [330, 160, 70], [160, 320, 65], [320, 330, 40]]).double()
    model = SeriesModel(
        imaging,
        Poses(place, rotations(4, seed=3), PosePrior(3.0, 3.0)),
        [ImageWarp(imaging, (2, 2), 5.0, 2.0, 0.5), StageAngles(imaging, 0.5), Defocus(imaging, 0.1)],
    )
    objective = setting.objective(model, setting.images(model, seed), amplitude_prior)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(error * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return objective


def flat_gradient(objective):
    model = objective.model
    model.zero_grad()
    objective.loss().backward()
    return torch.cat([model.poses.raw.grad.flatten(), *[b.raw.grad for b in model.block_list]])


def test_loss_is_the_negative_of_the_objective():
    objective = make_objective(error=0.3)
    assert float(objective.loss().detach()) == pytest.approx(-objective.evaluate(), rel=1e-9)


def test_gradient_of_the_loss_is_that_of_the_system():
    """Two ways to the same number: autograd through the geometry, and Jacobians by forward mode."""
    objective = make_objective(error=0.3)
    gradient = flat_gradient(objective)
    objective.evaluate()
    expected = torch.cat([part.flatten() for part in objective.system().gradient])
    assert torch.allclose(-gradient, expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))


def test_gradient_matches_finite_differences_of_the_objective():
    """Along directions in each group of parameters, to within the interpolation's error of a few per cent."""
    objective = make_objective(error=0.3)
    model, gradient = objective.model, flat_gradient(objective)
    parameters = [model.poses.raw, *[block.raw for block in model.block_list]]
    pieces = gradient.split([p.numel() for p in parameters])
    for parameter, piece in zip(parameters, pieces, strict=True):
        direction = (piece / piece.norm()).reshape(parameter.shape)
        values, step = [], 0.02
        with torch.no_grad():
            for sign in (1, -2, 1):
                parameter.add_(sign * step * direction)
                values.append(-objective.evaluate())
        slope = (values[0] - values[1]) / (2 * step)
        assert slope == pytest.approx(float(piece.norm()), rel=0.08)


def test_gauss_newton_reaches_the_truth():
    """From an error of a whole prior width; the truth is at zero and the reference is exact."""
    objective = make_objective(error=0.8)
    start = objective.evaluate()
    with torch.no_grad():
        view, truth = objective.model(), make_objective().model()
    before = float((view.xy_angstrom - truth.xy_angstrom).square().mean().sqrt())
    outcome = maximise(objective, Settings(max_passes=12))
    with torch.no_grad():
        view = objective.model()
    assert outcome.status == "converged"
    assert outcome.start == pytest.approx(start)
    assert outcome.end > start
    assert float((view.xy_angstrom - truth.xy_angstrom).square().mean().sqrt()) < 0.5 < before / 5
    cosine = ((view.rotation * truth.rotation).sum((-1, -2)) - 1) / 2
    assert float(torch.rad2deg(torch.acos(cosine.clamp(-1, 1))).mean()) < 1.5
    assert outcome.end == pytest.approx(objective.evaluate(), rel=1e-9)
    posterior = objective.posterior()
    errors = [
        objective.model.poses.raw.detach() / posterior.poses.diagonal(dim1=-2, dim2=-1).sqrt(),
        objective.model.hyper.detach() / posterior.hyper_error,
    ]
    assert float(torch.cat([e.flatten() for e in errors]).square().mean()) < 1.5, "errors are those that it says"


def test_amplitudes_are_fitted_in_closed_form():
    """No other amplitude of any tilt does better, and the true one is found."""
    objective = make_objective()
    best, found = objective.evaluate(), objective.amplitude
    assert torch.allclose(found, torch.ones(TILTS, dtype=torch.float64), atol=0.1)
    statistics = objective._statistics
    for tilt in range(TILTS):
        for change in (-0.05, 0.05):
            other = found.clone()
            other[tilt] += change
            surprise = ((other - objective.amplitude_prior) / objective.amplitude_width).square().sum() / 2
            assert float(statistics.log_likelihood(other).sum() - surprise) < best


def test_a_tilt_of_no_amplitude_is_left_out():
    objective = make_objective(error=0.3, amplitude_prior=torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64))
    objective.evaluate()
    assert float(objective.amplitude[1]) == 0
    variance = objective.system().covariance().variance()[-3:]  # of defocus
    assert float(variance[1]) == pytest.approx(1.0)
    assert float(variance[0]) < 0.5


def test_undo_restores_everything_exactly():
    objective = make_objective(error=0.3)
    value = objective.evaluate()
    before = [p.detach().clone() for p in objective.model.parameters()]
    gradient, amplitude = objective.system().gradient[0], objective.amplitude
    generator = torch.Generator().manual_seed(9)
    item = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    shared = torch.randn(objective.model.hyper.shape, generator=generator, dtype=torch.float64)
    objective.move(item, shared)
    moved = [p.detach().clone() for p in objective.model.parameters()]
    assert torch.allclose(moved[0] - before[0], item)
    assert torch.allclose(torch.cat([m - b for m, b in zip(moved[1:], before[1:], strict=True)]), shared)
    assert objective.evaluate() < value
    objective.undo()
    assert all(torch.equal(p, b) for p, b in zip(objective.model.parameters(), before, strict=True))
    assert torch.equal(objective.amplitude, amplitude)
    assert torch.equal(objective.system().gradient[0], gradient)


def test_step_size_is_the_change_of_the_images_over_its_tolerance():
    objective = make_objective()
    objective.evaluate()
    objective.system()
    item = torch.zeros(4, 6, dtype=torch.float64)
    shared = torch.zeros_like(objective.model.hyper.detach())
    assert objective.step_size(item, shared) == 0
    shared[-3:] = 1.0  # 0.1 µm in every tilt
    assert objective.step_size(item, shared) == pytest.approx(0.1 / Tolerance().defocus_um, rel=1e-6)
    shared[-3:] = 0
    item[:, 1] = 1.0  # 3 Å along y, which lies across the tilt axis: shortened by the tilts
    expected = 3.0 / objective.tolerance.shift_angstrom
    assert 0.7 * expected < objective.step_size(item, shared) < 1.01 * expected


def test_held_poses_stay_where_they_are():
    objective = make_objective(error=0.3)
    objective.model.activate(["image_warp", "defocus"])
    before = objective.model.poses.raw.detach().clone()
    outcome = maximise(objective, Settings(max_passes=4))
    assert outcome.end > outcome.start
    assert torch.equal(objective.model.poses.raw, before)
    assert {id(p) for p in objective.parameters()} == {
        id(b.raw) for b in objective.model.block_list if b.name != "stage_angles"
    }


def test_passes_are_counted():
    objective = make_objective()
    objective.evaluate()
    objective.loss()
    assert objective.passes == 2


def test_images_that_are_not_finite_fail():
    objective = make_objective()
    (batch,) = objective.matches
    images, data = batch.images, batch.images.data.clone()
    data[0, 0, 0] = float("nan")
    spoilt = ImageBatches.whole(dataclasses.replace(images, data=data))
    objective.matches = Matches.of_one(spoilt, batch.table, batch.map_index)
    before = [p.detach().clone() for p in objective.model.parameters()]
    assert maximise(objective, Settings()).status == "failed"
    assert all(torch.equal(p, b) for p, b in zip(objective.model.parameters(), before, strict=True))


def test_priors_are_learnt_without_a_pass_and_where_they_are_needed():
    """Errors far below their priors' widths: priors narrow, the optimum stays, and the next fit knows."""
    objective = make_objective(error=0.05)
    objective.evaluate()
    passes = objective.passes
    objective.learn_priors()
    value = objective.evaluate()
    assert objective.passes == passes
    widths = {block.name: block.get_buffer("log_widths").exp() for block in objective.model.block_list}
    assert all(float(width.max()) < 1.3 for width in widths.values()), widths
    assert float(widths["image_warp"].min()) < 0.7
    assert maximise(objective, Settings(max_passes=4)).start == pytest.approx(value)


def test_learning_leaves_held_blocks_alone():
    objective = make_objective(error=0.3)
    objective.model.activate(["poses", "image_warp"])
    objective.evaluate()
    objective.learn_priors()
    assert objective.model.blocks["image_warp"].get_buffer("log_widths").any()
    for name in ("stage_angles", "defocus"):
        assert not objective.model.blocks[name].get_buffer("log_widths").any()
