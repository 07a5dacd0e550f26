import numpy as np
import pytest
import torch

from mlit.errors import InputError
from mlit.geometry.map_symmetry import NO_SYMMETRY
from mlit.io.mrc import write_mrc
from mlit.maps.references import ReferenceSettings
from mlit.training.map_maker import MapSettings
from mlit.training.starting_maps import read_cubic_map, starting_mask, starting_references


def ball(box, pixel, radius=60.0, at=(0.0, 0.0, 0.0)):
    axis = (np.arange(box) - box // 2) * pixel
    z, y, x = np.meshgrid(axis - at[2], axis - at[1], axis - at[0], indexing="ij")
    return (1 / (1 + np.exp((np.sqrt(x**2 + y**2 + z**2) - radius) / 8))).astype(np.float32)


@pytest.fixture
def written(tmp_path):
    def write(array, pixel=8.0, name="map.mrc"):
        write_mrc(tmp_path / name, array, pixel)
        return tmp_path / name

    return write


@pytest.mark.parametrize(("box", "pixel"), [(40, 8.0), (24, 8.0), (64, 5.3), (60, 10.0), (41, 8.0)])
def test_maps_land_on_the_grid_of_the_run_with_their_centre(written, box, pixel):
    at = (16.0, -8.0, 24.0)
    volume = read_cubic_map(written(ball(box, pixel, 50.0, at), pixel), 32, 8.0)
    assert volume.shape == (32, 32, 32)
    inner = slice(6, 26)
    expected = ball(32, 8.0, 50.0, at)[inner, inner, inner]
    np.testing.assert_allclose(volume[inner, inner, inner], expected, atol=0.06)


def not_cubic(write):
    return write(np.ones((8, 8, 10), dtype=np.float32))


def not_finite(write):
    path = write(np.ones((8, 8, 8), dtype=np.float32))
    raw = bytearray(path.read_bytes())
    raw[-4:] = np.float32(np.inf).tobytes()
    path.write_bytes(bytes(raw))
    return path


def without_pixel_size(write):
    path = write(np.ones((8, 8, 8), dtype=np.float32))
    raw = bytearray(path.read_bytes())
    raw[40:52] = bytes(12)
    path.write_bytes(bytes(raw))
    return path


def empty(write):
    return write(np.zeros((8, 8, 8), dtype=np.float32))


def image(write):
    return write(np.ones((8, 8), dtype=np.float32))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (not_cubic, "cubic"),
        (image, "cubic"),
        (not_finite, "not finite"),
        (without_pixel_size, "pixel size"),
        (empty, "empty"),
    ],
)
def test_wrong_maps_are_refused_by_name(written, fault, message):
    with pytest.raises(InputError, match=rf"map\.mrc.*{message}"):
        read_cubic_map(fault(written), 16, 8.0)


def test_masks_are_held_between_zero_and_one(written):
    mask = starting_mask(str(written(3 * ball(32, 8.0) - 0.2)), 32, 8.0)
    assert float(mask.min()) == 0.0
    assert float(mask.max()) == 1.0
    assert starting_mask(None, 32, 8.0) is None


def test_mask_beside_the_molecule_is_refused(written):
    with pytest.raises(InputError, match=r"map\.mrc.*empty"):
        starting_mask(str(written(0.3 * ball(32, 8.0))), 32, 8.0)


def settings(folds=2, mask=None):
    return MapSettings(ReferenceSettings(150.0), 40, 8.0, folds, NO_SYMMETRY, mask)


def test_each_group_gets_the_map_of_its_half(written):
    rng = np.random.default_rng(3)
    maps = [ball(32, 8.0) + rng.normal(0, 0.05, (32, 32, 32)).astype(np.float32) for _ in range(2)]
    paths = [str(written(volume, name=f"half{i}.mrc")) for i, volume in enumerate(maps)]
    references = starting_references(paths, settings(folds=3))
    assert references.maps.shape == (6, 24, 24, 24)
    assert torch.equal(references.maps[0], references.maps[2])
    assert torch.equal(references.maps[3], references.maps[5])
    assert not torch.equal(references.maps[2], references.maps[3])
    assert 16.0 <= references.resolution_angstrom < 100.0


def test_given_mask_cuts_the_references(written):
    volume = ball(32, 8.0, 70.0)
    paths = [str(written(volume * scale, name=f"half{scale}.mrc")) for scale in (1, 2)]
    mask = torch.from_numpy(ball(40, 8.0, 30.0))
    inside = starting_references(paths, settings(mask=mask)).maps.abs().sum()
    assert inside < 0.3 * starting_references(paths, settings(mask=torch.ones(40, 40, 40))).maps.abs().sum()


def test_one_map_given_twice_is_refused(written):
    path = str(written(ball(32, 8.0, 70.0)))
    with pytest.raises(InputError, match="the same map"):
        starting_references([path, path], settings())


@pytest.mark.parametrize("count", [1, 3])
def test_other_than_two_half_maps_are_refused(written, count):
    with pytest.raises(InputError, match="two files"):
        starting_references([str(written(ball(16, 8.0)))] * count, settings())


def test_none_given_means_none(written):
    assert starting_references(None, settings()) is None
