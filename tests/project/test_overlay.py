from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
import torch
from matplotlib.collections import EllipseCollection

from mlit.errors import InputError
from mlit.project.overlay import overlay_figure, tilts_to_draw, write_overlay
from mlit.project.warp_project import load_warp_project


@pytest.fixture
def project(tiny):
    return load_warp_project(tiny.settings, tiny.particles)


def test_the_lowest_tilt_and_one_on_either_side_are_drawn(project):
    series = project.series[0]
    assert tilts_to_draw(series) == [0, 1, 2]  # -40°, 0°, 40° are in use
    geometry = replace(series.geometry, tilt_angle_rad=torch.tensor([-60.0, -28.0, 3.0, 55.0]).deg2rad().double())
    assert tilts_to_draw(replace(series, geometry=geometry)) == [
        1,
        2,
    ]  # 55° is not in use, -28° is nearest to half of -60°


def test_circles_lie_at_the_projected_positions_with_the_diameter(project):
    series = project.series[1]
    figure = overlay_figure(series, project, 12.0)
    rows = series.particle_index.numpy()
    xy = series.geometry.project(torch.from_numpy(project.particles.position_angstrom[rows, 0])).xy_angstrom.numpy()
    half = project.particles.half_set[rows]
    for axes, tilt in zip(figure.axes, tilts_to_draw(series), strict=True):
        groups = [one for one in axes.collections if isinstance(one, EllipseCollection)]
        for number, group in zip((1, 2), groups, strict=True):
            np.testing.assert_allclose(group.get_offsets(), xy[half == number, tilt])
            assert set(group.get_widths()) == {12.0}
        (image,) = axes.images
        assert image.get_extent() == [-2.0, 94.0, -2.0, 62.0]  # 24 × 16 px of 4 Å, pixel 0 about 0
        assert f"tilt {tilt + 1}, " in axes.get_title()


def test_the_picture_is_written_whole_or_not_at_all(project, tiny, tmp_path):
    write_overlay(tmp_path / "A.png", project.series[0], project, 12.0)
    picture = matplotlib.image.imread(tmp_path / "A.png")
    assert picture.shape[1] == 3 * 5 * 120
    assert float(picture.std()) > 0.05
    tiny.image("B", 1).write_bytes(b"nothing")
    with pytest.raises(InputError, match="B_1"):
        write_overlay(tmp_path / "B.png", project.series[1], project, 12.0)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["A.png"]
