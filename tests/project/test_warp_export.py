import numpy as np

from mlit.project.images import load_tilt_images
from mlit.project.relion_files import find_files
from mlit.project.relion_project import load_relion_project
from mlit.project.warp_export import write_warp
from mlit.project.warp_project import load_warp_project
from tests.project.relion_support import differences, seen, write_relion_project


def test_a_project_of_relion_becomes_one_of_warp(tmp_path):
    project = load_relion_project(find_files(write_relion_project(tmp_path / "relion")))
    write_warp(tmp_path / "warp", project)
    again = load_warp_project(tmp_path / "warp" / "warp_tiltseries.settings", tmp_path / "warp" / "particles.star")
    position, orientation, defocus = differences(seen(project, "TS_01"), seen(again, "TS_01"))
    assert position < 0.001
    assert orientation < 0.001
    assert defocus < 0.01
    assert again.particles.half_set.tolist() == project.particles.half_set.tolist()
    before, after = project.series[0], again.series[0]
    np.testing.assert_array_equal(load_tilt_images(after), load_tilt_images(before))
    np.testing.assert_array_equal(after.weights.tilt_amplitude, before.weights.tilt_amplitude)
    np.testing.assert_allclose(after.optics.zernike_odd_rad, before.optics.zernike_odd_rad)
