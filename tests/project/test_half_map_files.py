import numpy as np
import pytest
import torch

from mlit.errors import InputError
from mlit.io.mrc import write_mrc
from mlit.project.half_map_files import read_half_maps, read_mask

BOX, PIXEL = 20, 3.0


def values(seed, shape=(BOX, BOX, BOX)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture
def paths(tmp_path):
    for i in (1, 2):
        write_mrc(tmp_path / f"half{i}.mrc", values(i), PIXEL)
    return [tmp_path / "half1.mrc", tmp_path / "half2.mrc"]


def test_maps_and_pixel_size_are_those_of_the_files(paths):
    pair = read_half_maps(paths)
    np.testing.assert_array_equal(pair.second.numpy(), values(2))
    assert pair.pixel_size_angstrom == pytest.approx(PIXEL)
    assert read_half_maps(paths, 2.5).pixel_size_angstrom == 2.5


@pytest.mark.parametrize(
    ("array", "pixel", "message"),
    [
        (values(3, (18, 18, 18)), PIXEL, "its size"),
        (values(3, (20, 20, 18)), PIXEL, "its size"),
        (values(3), 3.1, "pixel size 3.1"),
        (values(3), 0.0, "no pixel size"),
        (values(1), PIXEL, "same map"),
        (values(1) * 2 + 1, PIXEL, "same map"),
        (np.zeros((BOX,) * 3, np.float32), PIXEL, "empty"),
        (np.full((BOX,) * 3, 2.0, np.float32), PIXEL, "empty"),
    ],
)
def test_pairs_that_cannot_be_used(paths, array, pixel, message):
    write_mrc(paths[1], array, pixel)
    with pytest.raises(InputError, match=rf"half2\.mrc.*{message}"):
        read_half_maps(paths)


def test_maps_that_cannot_be_used(tmp_path, paths):
    with pytest.raises(InputError, match="give two files"):
        read_half_maps(paths[:1])
    with pytest.raises(InputError, match=r"both are .*half1\.mrc"):
        read_half_maps([paths[0], paths[0]])
    with pytest.raises(InputError, match=r"nowhere\.mrc"):
        read_half_maps([paths[0], tmp_path / "nowhere.mrc"])
    for i, path in enumerate(paths):
        write_mrc(path, values(i, (BOX, BOX, BOX + 2)), PIXEL)
    with pytest.raises(InputError, match="no cubic map"):
        read_half_maps(paths)
    for i, path in enumerate(paths):
        write_mrc(path, values(i, (12, 12, 12)), PIXEL)
    with pytest.raises(InputError, match="at least 16"):
        read_half_maps(paths)


def test_values_that_are_not_finite(paths):
    raw = bytearray(paths[0].read_bytes())
    raw[1024:1028] = np.array(np.nan, np.float32).tobytes()
    paths[0].write_bytes(raw)
    with pytest.raises(InputError, match=r"half1\.mrc: holds values that are not finite"):
        read_half_maps(paths)


def test_masks(tmp_path, paths):
    pair, path = read_half_maps(paths), tmp_path / "mask.mrc"
    cube = np.zeros((BOX,) * 3, np.float32)
    cube[5:16, 5:16, 5:16] = 1
    write_mrc(path, cube, PIXEL + 0.01)
    np.testing.assert_array_equal(read_mask(path, pair).numpy(), cube)
    fine = np.zeros((40,) * 3, np.float32)
    fine[10:31, 10:31, 10:31] = 1
    write_mrc(path, fine, PIXEL / 2)
    assert float((read_mask(path, pair) != torch.from_numpy(cube)).float().mean()) < 0.03
    for array, pixel, message in (
        (fine, PIXEL, "40 pixels along an edge and the half maps have 20"),
        (5 * cube, PIXEL, "from 0 to 1"),
        (0.3 * cube, PIXEL, "empty on the grid"),
        (cube[:-1], PIXEL, "no cubic mask"),
    ):
        write_mrc(path, array, pixel)
        with pytest.raises(InputError, match=rf"mask\.mrc.*{message}"):
            read_mask(path, pair)
