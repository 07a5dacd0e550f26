"""Particles that move and turn while they are exposed."""

import pytest
import torch

from mlit.deformation.local_coordinates import View
from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.deformation.series_model import SeriesModel
from mlit.deformation.stage_angles import StageAngles
from mlit.deformation.trajectories import Trajectories, make_poses
from mlit.geometry.rotations import euler_from_matrix, matrix_from_euler, rotvec_from_matrix
from mlit.geometry.trajectory import continuous_euler, evaluate_trajectory, normalised_dose, sample_times
from tests.brute_force import imaging_of, rotations
from tests.deformation.test_series_model import finite_difference

PRIOR = PosePrior(5.0, 2.0, 3.0, 1.0)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def samples_of(particles, count):
    """Particles that move by some Å and degrees from sample to sample."""
    place = particles[0][:, None] + 4 * random(5, count, 3, seed=8)
    return place, euler_from_matrix(particles[1])[:, None] + 0.03 * random(5, count, 3, seed=9)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_zero_is_the_trajectory_of_the_table(geometry, particles, count):
    place, euler = samples_of(particles, count)
    time = normalised_dose(geometry.dose)
    poses = make_poses(place, euler, time, PRIOR, 1)
    assert poses.samples == count
    position, rotation = poses.at(poses.raw)
    assert torch.allclose(position, evaluate_trajectory(place, time))
    assert torch.allclose(rotation, matrix_from_euler(evaluate_trajectory(euler, time)))


def test_one_pose_for_all_tilts_stays_one(geometry, particles):
    place, euler = samples_of(particles, 1)
    poses = make_poses(place, euler, normalised_dose(geometry.dose), PRIOR, 1)
    assert type(poses) is Poses
    assert torch.allclose(poses.at(poses.raw)[0], place[:, 0])


@pytest.mark.parametrize(("old", "wanted"), [(1, 2), (1, 3), (2, 3), (2, 5), (3, 5), (3, 2)])
def test_a_start_with_other_samples_is_followed(geometry, particles, old, wanted):
    """At the times of the new samples exactly; everywhere where the old ones make straight lines."""
    place, euler = samples_of(particles, old)
    time = normalised_dose(geometry.dose)
    poses = make_poses(place, euler, time, PRIOR, wanted)
    assert poses.samples == max(old, wanted)
    where, turned = poses.at_samples(poses.raw)
    at = sample_times(poses.samples)
    assert torch.allclose(where, evaluate_trajectory(place, at))
    assert torch.allclose(turned, matrix_from_euler(evaluate_trajectory(euler, at)))
    if old < 3:
        assert torch.allclose(poses.at(poses.raw)[0], evaluate_trajectory(place, time))


def test_angles_that_jump_by_a_turn_are_taken_the_short_way(geometry, particles):
    place, euler = samples_of(particles, 2)
    jumping = euler + torch.tensor([[0.0, 0, 0], [2 * torch.pi, 0, -2 * torch.pi]], dtype=torch.float64)
    time = normalised_dose(geometry.dose)
    found = make_poses(place, jumping, time, PRIOR, 2)
    expected = make_poses(place, euler, time, PRIOR, 2)
    assert torch.allclose(found.at(found.raw)[1], expected.at(expected.raw)[1])


@pytest.mark.parametrize("prior", [PRIOR, PosePrior([5.0, 5.0, 1.0], [1.0, 1.0, 8.0], 3.0, 1.0)])
@pytest.mark.parametrize("count", [2, 3])
def test_jacobians_match_finite_differences(geometry, particles, count, prior):
    poses = make_poses(*samples_of(particles, count), normalised_dose(geometry.dose), prior, count)
    model = SeriesModel(imaging_of(geometry), poses, [StageAngles(imaging_of(geometry), 0.5)])
    with torch.no_grad():
        model.poses.raw.copy_(0.5 * random(5, 6 * count, seed=3))
    poses.follow(torch.tensor([True, False, True, False, True]), rotations(1)[0], random(3))
    found = model.jacobians().poses
    assert found.shape == (5, 4, 6, 6 * count)
    for k in range(6 * count):
        direction = torch.zeros(5, 6 * count, dtype=torch.float64)
        direction[:, k] = 1
        expected = finite_difference(model, direction, torch.zeros_like(model.hyper))
        assert torch.allclose(found[..., k], expected, atol=1e-6), k


@pytest.mark.parametrize("count", [2, 3])
def test_particles_at_rest_have_finite_derivatives(geometry, particles, count):
    """The curve has a kink where all samples are equal, which is where a fit starts."""
    poses = make_poses(*samples_of(particles, 1), normalised_dose(geometry.dose), PRIOR, count)
    model = SeriesModel(imaging_of(geometry), poses, [])
    found = model.jacobians().poses
    assert bool(torch.isfinite(found).all())
    assert float(found[:, :, :5].abs().amax((0, 1, 2)).min()) > 1e-3, "every parameter is seen"


def file_view(model, samples, geometry):
    """What a reader makes of the samples in a table: M's rule."""
    time = normalised_dose(geometry.dose)
    position = evaluate_trajectory(samples[0], time)
    rotation = matrix_from_euler(evaluate_trajectory(continuous_euler(euler_from_matrix(samples[1])), time))
    projection = geometry.project(position)
    return View(projection.xy_angstrom, geometry.orient(rotation, position), projection.defocus_um, model().aberrations)


@pytest.mark.parametrize(("count", "limit_deg"), [(2, 0.1), (3, 0.1)])
def test_reading_the_samples_back_gives_the_views(geometry, particles, count, limit_deg):
    """Positions to the digit, orientations to second order in the turn."""
    poses = make_poses(*samples_of(particles, 1), normalised_dose(geometry.dose), PosePrior(5.0, 2.0, 3.0, 2.0), count)
    model = SeriesModel(imaging_of(geometry), poses, [])
    with torch.no_grad():
        model.poses.raw.copy_(random(5, 6 * count, seed=3))
    with torch.no_grad():
        view = model()
    again = file_view(model, poses.at_samples(poses.raw.detach()), geometry)
    assert torch.allclose(again.xy_angstrom, view.xy_angstrom, atol=1e-9)
    error = rotvec_from_matrix(again.rotation @ view.rotation.transpose(-1, -2)).norm(dim=-1).rad2deg()
    motion = rotvec_from_matrix(view.rotation[:, 0] @ view.rotation[:, -1].transpose(-1, -2))
    assert float(motion.norm(dim=-1).max()) > 0.02, "the particles turn"
    assert float(error.max()) < limit_deg


def test_state_of_a_trajectory_is_saved_and_restored(geometry, particles):
    poses, fresh = (make_poses(*samples_of(particles, 2), normalised_dose(geometry.dose), PRIOR, 2) for _ in range(2))
    with torch.no_grad():
        poses.raw.copy_(random(5, 12))
    poses.follow(torch.ones(5, dtype=torch.bool), rotations(1)[0], random(3))
    fresh.load_state_dict(poses.state_dict())
    assert isinstance(fresh, Trajectories)
    assert torch.equal(fresh.at(fresh.raw)[0], poses.at(poses.raw)[0])
    assert torch.equal(fresh.at(fresh.raw)[1], poses.at(poses.raw)[1])
