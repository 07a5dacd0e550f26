"""Pictures under the arrows of the image warp."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from mlit.likelihood.tilt_images import TiltImages
from mlit.report.run_folder import RunFolder
from mlit.report.tilt_picture_writer import TiltPictures
from mlit.report.tilt_pictures import picture_path, shown_tilts, small_picture, write_picture
from mlit.report.warp_fields import draw_warps, pictures_of, warp_fields
from mlit.training.data import SeriesBatch


@pytest.fixture
def ramp():
    """Brighter along x, and along y by as much over its own length."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 240), torch.linspace(0, 1, 480), indexing="ij")
    return x + y


def test_first_middle_and_last_are_shown():
    assert [shown_tilts(count) for count in (1, 2, 3, 41)] == [[0], [0, 1], [0, 1, 2], [0, 20, 40]]


def test_a_picture_is_the_mean_over_areas_with_grey_values_stretched(ramp):
    shades = small_picture(ramp)
    assert shades.shape == (80, 160)
    mean = ramp.reshape(80, 3, 160, 3).mean((1, 3)).numpy()
    low, high = np.quantile(mean, (0.01, 0.99))
    np.testing.assert_allclose(shades, 255 * np.clip((mean - low) / (high - low), 0, 1), atol=0.51)
    assert small_picture(torch.full((20, 30), 7.0)).shape == (20, 30)


def test_the_lowest_row_is_at_the_bottom(ramp, tmp_path):
    shades = small_picture(ramp)
    write_picture(tmp_path / "a.png", shades)
    seen = imread(tmp_path / "a.png")[:, :, 0]
    np.testing.assert_allclose(seen, shades[::-1] / 255, atol=0.005)


def test_a_run_writes_each_of_them_once(ramp, tmp_path):
    images = TiltImages(torch.stack([ramp] * 5).bfloat16(), 2.0, torch.ones(5, 3), torch.zeros(5))
    callback = TiltPictures(str(tmp_path))
    callback.write(SeriesBatch("TS_1", images))
    callback.write(SeriesBatch("TS_2", None, "blank"))
    found = sorted(path.name for path in (tmp_path / "figures" / "tilts").iterdir())
    assert found == ["TS_1_001.png", "TS_1_003.png", "TS_1_005.png"]
    picture_path(tmp_path, "TS_1", 2).write_bytes(b"mine")
    callback.write(SeriesBatch("TS_1", images))
    assert picture_path(tmp_path, "TS_1", 2).read_bytes() == b"mine"


def test_arrows_lie_over_the_picture_of_their_tilt(fake, ramp):
    folder = fake.write()
    shades = small_picture(ramp)
    write_picture(picture_path(folder, "TS_1", 2), shades)
    run = RunFolder(folder)
    fields, total = warp_fields(run)
    (part,) = draw_warps(fields, total, pictures_of(run, fields))
    panels = part.body.split("<svg")[1:]
    with_picture = [index for index, panel in enumerate(panels) if "<image" in panel]
    assert [(fields[index].series, fields[index].tilt) for index in with_picture] == [("TS_1", 3)]
    place, data = re.search(r'<image ([^>]*) href="data:image/png;base64,([^"]*)"', panels[with_picture[0]]).groups()
    np.testing.assert_allclose(imread(io.BytesIO(base64.b64decode(data)))[:, :, 0], shades[::-1] / 255, atol=0.005)
    width, height = (float(re.search(rf'{name}="([\d.]+)"', place).group(1)) for name in ("width", "height"))
    assert height == pytest.approx(width / 2)
    starts = [float(y) for y in re.findall(r'class="flag" d="M[\d.]+ ([\d.]+)', panels[with_picture[0]])]
    top = float(re.search(r' y="([\d.]+)"', f" {place}").group(1))
    assert (min(starts), max(starts)) == pytest.approx((top, top + height), abs=0.11)
