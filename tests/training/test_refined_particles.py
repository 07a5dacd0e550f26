"""What is written of the poses: samples over the exposure, and rows of series without a model."""

import dataclasses

import numpy as np
import pytest
import torch

from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.geometry.rotations import matrix_from_euler, rotvec_from_matrix
from mlit.geometry.trajectory import evaluate_trajectory, normalised_dose
from mlit.io.particles import read_particles, write_particles
from mlit.project.results import refined_particles, with_errors
from mlit.training.series_setup import Species, SpeciesInput, make_model
from tests.brute_force import rotations

OPTIONS = {
    "poses": {
        "position_prior_angstrom": 10.0,
        "rotation_prior_deg": 5.0,
        "temporal_samples": 1,
        "motion_prior_angstrom": 4.0,
        "motion_prior_deg": 1.0,
    }
}


def model_of(series, particles, options):
    group = torch.zeros(particles.particles, dtype=torch.long)
    return make_model([SpeciesInput(Species("x", 160.0, "C1"), series, particles, group)], options)


def models_of(project, samples, names):
    """Models away from their start, half of whose particles followed a motion of their reference."""
    options = {"poses": OPTIONS["poses"] | {"temporal_samples": samples}}
    models = {s.name: model_of(s, project.particles, options) for s in project.series if s.name in names}
    turn = matrix_from_euler(torch.tensor([0.02, 0.03, -0.01], dtype=torch.float64))
    for model in models.values():
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            model.poses.raw.copy_(torch.randn(model.poses.raw.shape, generator=generator, dtype=torch.float64))
        model.poses.follow(torch.arange(8) % 2 == 0, turn, torch.tensor([3.0, -2.0, 1.0]))
    return models


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_the_table_gives_the_views_of_the_model(small, tmp_path, samples):
    """Through the file: positions to the digits written, orientations to second order in the turn."""
    series = small.series[0]
    models = models_of(small, samples, [series.name])
    write_particles(tmp_path / "refined.star", refined_particles(small, models))
    table = read_particles(tmp_path / "refined.star")
    assert table.samples == samples
    rows, time = series.particle_index.numpy(), normalised_dose(series.geometry.dose)
    position = evaluate_trajectory(torch.from_numpy(table.position_angstrom[rows]), time)
    euler = evaluate_trajectory(torch.from_numpy(table.euler_deg[rows]).deg2rad(), time)
    with torch.no_grad():
        view = models[series.name]()
    assert torch.allclose(series.geometry.project(position).xy_angstrom, view.xy_angstrom, atol=1e-5)
    found = series.geometry.orient(matrix_from_euler(euler), position)
    error = rotvec_from_matrix(found @ view.rotation.transpose(-1, -2)).norm(dim=-1).rad2deg()
    assert float(error.max()) < (0.2 if samples > 1 else 1e-5)
    assert float(error.median()) < (0.02 if samples > 1 else 1e-5)


def test_rows_without_a_model_keep_their_poses_in_as_many_samples(small):
    first, second = small.series[:2]
    table = refined_particles(small, models_of(small, 2, [first.name]))
    rows = second.particle_index.numpy()
    before = small.particles
    assert table.position_angstrom.shape[1] == 2
    for sample in range(2):
        np.testing.assert_array_equal(table.position_angstrom[rows, sample], before.position_angstrom[rows, 0])
        np.testing.assert_array_equal(table.euler_deg[rows, sample], before.euler_deg[rows, 0])


def test_a_table_without_models_stays_as_it_is(small):
    table = refined_particles(small, {})
    np.testing.assert_array_equal(table.position_angstrom, small.particles.position_angstrom)
    np.testing.assert_array_equal(table.euler_deg, small.particles.euler_deg)


def test_a_start_that_moves_keeps_its_samples(small):
    """And models that did not move give them back."""
    before = small.particles
    moving = dataclasses.replace(
        before,
        position_angstrom=np.concatenate([before.position_angstrom, before.position_angstrom + 5.0], 1),
        euler_deg=np.concatenate([before.euler_deg, before.euler_deg + 2.0], 1),
    )
    project = dataclasses.replace(small, particles=moving)
    models = {s.name: model_of(s, moving, OPTIONS) for s in project.series}
    table = refined_particles(project, models)
    np.testing.assert_allclose(table.position_angstrom, moving.position_angstrom)
    turn = (np.deg2rad(table.euler_deg), np.deg2rad(moving.euler_deg))
    found, expected = (matrix_from_euler(torch.from_numpy(euler)) for euler in turn)
    torch.testing.assert_close(found, expected)


def test_errors_of_poses_are_columns_in_physical_units(small):
    series = small.series[0]
    models = models_of(small, 1, [series.name])
    count = len(series.particle_index)
    spread = torch.diag(torch.tensor([0.1, 0.2, 0.3, 0.01, 0.02, 0.03]).double().square()).repeat(count, 1, 1)
    table = with_errors(refined_particles(small, models), small, models, {series.name: spread})
    rows = series.particle_index.numpy()
    prior = models[series.name].poses.errors(torch.eye(6, dtype=torch.float64).repeat(count, 1, 1))
    for place, letter in enumerate("XYZ"):
        shift = table.source[f"mlitCoordinateError{letter}1"].astype(float).to_numpy()
        turn = table.source[f"mlitRotationError{letter}1"].astype(float).to_numpy()
        np.testing.assert_allclose(shift[rows], 0.1 * (place + 1) * prior[0][:, 0, place], atol=1e-5)
        np.testing.assert_allclose(turn[rows], 0.01 * (place + 1) * prior[1][:, 0, place].rad2deg(), atol=1e-5)
        others = np.delete(shift, rows)
        assert len(others)
        assert np.isnan(others).all()


def test_errors_of_particles_with_axes_of_their_own_are_turned_into_the_sample():
    rotation = rotations(4)
    poses = Poses(torch.zeros(4, 3), rotation, PosePrior((1.0, 2.0, 3.0), (1.0, 2.0, 3.0)))
    shift, turn = poses.errors(torch.eye(6, dtype=torch.float64).repeat(4, 1, 1))
    widths = torch.diag(torch.tensor([1.0, 2.0, 3.0]).double().square())
    expected = (rotation @ widths @ rotation.transpose(1, 2)).diagonal(dim1=1, dim2=2).sqrt()
    torch.testing.assert_close(shift[:, 0], expected)
    torch.testing.assert_close(turn[:, 0].rad2deg(), expected)
