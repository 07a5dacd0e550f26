"""Half maps to start from, in the units and pixel size of whatever program made them."""

import numpy as np
import pytest

from mlit.io.mrc import read_mrc, write_mrc


@pytest.mark.parametrize(("scale", "pixel", "box"), [(1.0, 8.0, 32), (1e-5, 8.0, 32), (300.0, 5.5, 48)])
def test_units_and_pixel_size_of_given_half_maps_do_not_matter(project, tmp_path, refine, scale, pixel, box):
    word = project.half_maps_of_truth(tmp_path, scale, pixel, box)
    one = "schedule.iterations=[{resolution_angstrom: null, blocks: [poses, image_warp]}]"
    run = refine(project, word, one, "model=coarse")
    assert run.outcome.code == 0, run.outcome.stderr
    assert "hardly resemble" not in run.outcome.stdout
    refined, start = project.refined(run.output), project.start()
    assert refined.position_rms_angstrom < start.position_rms_angstrom / 2.5
    assert refined.orientation_rms_deg < start.orientation_rms_deg / 2.5


def test_half_maps_of_the_wrong_contrast_are_noticed(project, tmp_path, refine):
    word = project.half_maps_of_truth(tmp_path, scale=-1.0)
    run = refine(project, word, "schedule.iterations=[{resolution_angstrom: null, blocks: [poses]}]")
    assert run.outcome.code == 0, run.outcome.stderr
    assert "hardly resemble the map of the particles" in run.outcome.stdout
    assert project.refined(run.output).position_rms_angstrom < 1.1 * project.start().position_rms_angstrom


def test_given_mask_is_used_and_written(project, tmp_path, refine):
    axis = (np.arange(40) - 20) * 8.0
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    mask = np.clip((110 - radius) / 24, 0, 1).astype(np.float32)
    write_mrc(tmp_path / "mask.mrc", mask, 8.0)
    run = refine(project, f"species.mask={tmp_path}/mask.mrc", verb="reconstruct")
    assert run.outcome.code == 0, run.outcome.stderr
    written, _ = read_mrc(run.output / "particle" / "mask.mrc")
    np.testing.assert_allclose(written[2:-2, 2:-2, 2:-2], mask, atol=1e-3)
