import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from mlit.errors import InputError
from mlit.geometry.rotations import matrix_from_rotvec
from mlit.geometry.symmetry import point_group
from mlit.io.star import read_star, write_star
from mlit.simulation.placement import random_rotations
from mlit.simulation.simulate import simulate
from mlit.simulation.truth import Observations, compare_observations, compare_to_truth
from tests.support import shared_path

C1 = point_group("C1")


def observations(count=200, seed=0):
    rng = np.random.default_rng(seed)
    xy = torch.as_tensor(rng.uniform(0, 1000, (count, 2)))
    defocus = torch.as_tensor(rng.normal(3.0, 0.1, count))
    return Observations(xy, defocus, random_rotations(count, rng))


def rotated(angles):
    return matrix_from_rotvec(torch.as_tensor(angles, dtype=torch.float64))


def test_own_geometry_agrees_with_an_outside_judge():
    project = shared_path("data", "ribosome5")
    start = compare_to_truth(project, project / "warp_tiltseries", project / "particles.star")
    assert start.position_rms_angstrom == pytest.approx(8.8432, abs=1e-3)
    assert start.orientation_rms_deg == pytest.approx(4.8111, abs=1e-3)
    assert start.defocus_rms_nm == pytest.approx(48.460, abs=1e-2)
    assert start.observations == 120 * 41


def test_errors_are_measured():
    true = observations()
    noise = torch.as_tensor(np.random.default_rng(1).normal(size=(200, 6)))
    got = Observations(
        true.xy_angstrom + 3.0 * noise[:, :2],
        true.defocus_um + 0.02,
        true.rotation @ rotated(np.deg2rad(2.0) * noise[:, 3:]),
    )
    found = compare_observations(got, true, C1)
    assert found.position_rms_angstrom == pytest.approx(3 * 2**0.5, rel=0.1)
    assert found.orientation_rms_deg == pytest.approx(2 * 3**0.5, rel=0.1)
    assert found.defocus_rms_nm == pytest.approx(20.0)
    assert found.position_median_angstrom < found.position_rms_angstrom


def test_frame_of_the_map_is_no_error():
    true = observations()
    turn, shift = rotated([0.05, -0.02, 0.04]), torch.tensor([4.0, -3.0, 5.0], dtype=torch.float64)
    got = replace(true, xy_angstrom=true.xy_angstrom + (true.rotation @ shift)[:, :2], rotation=true.rotation @ turn)
    found = compare_observations(got, true, C1)
    assert found.position_rms_angstrom < 1e-9
    assert found.orientation_rms_deg < 1e-5


@pytest.mark.parametrize("group", ["C4", "D3", "O", "I"])
def test_equivalent_orientations_are_no_error(group):
    operators = point_group(group)
    true = observations()
    choice = torch.as_tensor(np.random.default_rng(2).integers(len(operators), size=200))
    small = rotated([[0.0, 0.02, 0.0]])
    got = replace(true, rotation=true.rotation @ operators[choice] @ small)
    assert compare_observations(got, true, operators).orientation_rms_deg < 1e-5
    assert compare_observations(got, true, C1).orientation_rms_deg > 30


def test_molecules_axis_may_shift_whatever_copy_was_chosen():
    operators = point_group("C4")
    true = observations()
    choice = torch.as_tensor(np.random.default_rng(2).integers(4, size=200))
    rotation = true.rotation @ operators[choice]
    shift = torch.tensor([0.0, 0.0, 7.0], dtype=torch.float64)
    got = replace(true, xy_angstrom=true.xy_angstrom + (rotation @ shift)[:, :2], rotation=rotation)
    assert compare_observations(got, true, operators).position_rms_angstrom < 1e-9


@pytest.fixture(scope="module")
def project(tmp_path_factory, small_config):
    folder = tmp_path_factory.mktemp("truth") / "project"
    simulate(small_config({"picks": {"false_fraction": 0.5}, "defects": {"bad_tilts": 1}}), folder)
    return folder


def test_truth_against_itself_is_zero_and_false_picks_and_bad_tilts_do_not_count(project):
    found = compare_to_truth(project, project / "truth" / "warp", project / "truth" / "particles.star")
    assert found.position_rms_angstrom < 1e-3
    assert found.orientation_rms_deg < 1e-3
    assert found.defocus_rms_nm < 1e-3
    assert found.observations == 6 * (7 - 1) + 6 * (5 - 1)


def test_start_is_as_far_off_as_it_was_made(project):
    found = compare_to_truth(project, project / "warp_tiltseries", project / "particles.star")
    assert 4.0 < found.position_rms_angstrom < 14.0
    assert 3.0 < found.orientation_rms_deg < 8.0
    assert 25.0 < found.defocus_rms_nm < 80.0


def test_other_rows_are_refused(project, tmp_path):
    blocks = read_star(project / "particles.star")
    write_star(tmp_path / "fewer.star", blocks | {"particles": blocks["particles"].iloc[1:]})
    with pytest.raises(InputError, match=r"fewer\.star: rows are not those"):
        compare_to_truth(project, project / "warp_tiltseries", tmp_path / "fewer.star")


def test_missing_files_are_named(project, tmp_path):
    with pytest.raises(InputError, match="no truth here"):
        compare_to_truth(tmp_path, project / "warp_tiltseries", project / "particles.star")
    shutil.copy(project / "warp_tiltseries" / "TS_01.xml", tmp_path)
    with pytest.raises(InputError, match=r"TS_02\.xml"):
        compare_to_truth(project, tmp_path, project / "particles.star")
