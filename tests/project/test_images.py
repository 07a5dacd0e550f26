import numpy as np
import pytest
import torch

from mlit.errors import InputError
from mlit.io.mrc import read_mrc, write_mrc
from mlit.project.images import load_tilt_images
from mlit.project.warp_project import load_warp_project


def test_pixels_are_read_as_they_are_and_unused_tilts_stay_zero(tiny):
    series = load_warp_project(tiny.settings, tiny.particles).series[0]
    images = load_tilt_images(series)
    assert images.dtype == torch.float32
    assert images.shape == (4, 16, 24)
    for tilt in range(3):
        np.testing.assert_array_equal(images[tilt].numpy(), read_mrc(series.image_paths[tilt])[0])
    assert not images[3].any()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, r"A_1_0\.0\.mrc: 1 pixels are not finite"),
        (np.inf, r"A_1_0\.0\.mrc: 1 pixels are not finite"),
    ],
)
def test_bad_pixels_name_the_file(tiny, value, message):
    series = load_warp_project(tiny.settings, tiny.particles).series[0]
    image = np.full((16, 24), 7.0, dtype=np.float32)
    write_mrc(series.image_paths[1], image, 4.0)
    image[3, 4] = value
    header = series.image_paths[1].read_bytes()[:1024]
    series.image_paths[1].write_bytes(header + image.tobytes())
    with pytest.raises(InputError, match=message):
        load_tilt_images(series)


def test_blank_images_are_read_unless_all_are_blank(tiny):
    series = load_warp_project(tiny.settings, tiny.particles).series[0]
    for tilt in (0, 2):
        write_mrc(series.image_paths[tilt], np.full((16, 24), 7.0, dtype=np.float32), 4.0)
    assert bool((load_tilt_images(series)[2] == 7).all())
    write_mrc(series.image_paths[1], np.zeros((16, 24), dtype=np.float32), 4.0)
    with pytest.raises(InputError, match="A: every image is the same in all of its pixels"):
        load_tilt_images(series)


def test_image_that_changed_since_the_project_was_loaded(tiny):
    series = load_warp_project(tiny.settings, tiny.particles).series[0]
    write_mrc(series.image_paths[1], np.ones((8, 8)), 4.0)
    with pytest.raises(InputError, match="is no image of 24 × 16 px"):
        load_tilt_images(series)
    series.image_paths[1].unlink()
    with pytest.raises(InputError, match="MRC file not found"):
        load_tilt_images(series)
