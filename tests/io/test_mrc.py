import mrcfile
import numpy as np
import pytest

from mlit.errors import InputError
from mlit.io.mrc import read_mrc, read_mrc_header, view_mrc, write_mrc


@pytest.mark.parametrize(("dtype", "mode"), [("int8", 0), ("int16", 1), ("float32", 2), ("uint16", 6), ("float16", 12)])
def test_every_mode_reads_as_float32(tmp_path, dtype, mode):
    values = np.arange(24, dtype=dtype).reshape(2, 3, 4)
    with mrcfile.new(tmp_path / "a.mrc") as mrc:
        mrc.set_data(values)
        mrc.voxel_size = 2.5
    assert read_mrc_header(tmp_path / "a.mrc").mode == mode
    array, pixel_size = read_mrc(tmp_path / "a.mrc")
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, values)
    assert pixel_size == pytest.approx(2.5)


def test_big_endian_and_extended_header(tmp_path):
    values = np.arange(6, dtype=">f4").reshape(2, 3)
    with mrcfile.new(tmp_path / "a.mrc") as mrc:
        mrc.set_data(values)
        mrc.set_extended_header(np.zeros(64, dtype="V1"))
    array, pixel_size = read_mrc(tmp_path / "a.mrc")
    np.testing.assert_array_equal(array, values.astype(np.float32))
    assert read_mrc_header(tmp_path / "a.mrc").byte_order == ">"
    assert pixel_size is None


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize("shape", [(5, 7), (3, 5, 7)])
def test_round_trip(tmp_path, dtype, shape):
    values = np.random.default_rng(0).normal(size=shape).astype(dtype)
    write_mrc(tmp_path / "sub" / "a.mrc", values, 1.35)
    array, pixel_size = read_mrc(tmp_path / "sub" / "a.mrc")
    np.testing.assert_array_equal(array, values.astype(np.float32))
    assert pixel_size == pytest.approx(1.35, rel=1e-6)
    assert mrcfile.validate(tmp_path / "sub" / "a.mrc")


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2"])
def test_views_have_the_values_of_the_file_and_never_change_it(tmp_path, dtype):
    path, values = tmp_path / "a.mrc", np.arange(24, dtype=dtype).reshape(2, 3, 4)
    with mrcfile.new(path) as mrc:
        mrc.set_data(values)
        mrc.set_extended_header(np.zeros(64, dtype="V1"))
        mrc.voxel_size = 2.5
    before = path.read_bytes()
    view, pixel_size = view_mrc(path)
    assert type(view) is np.ndarray
    assert view.dtype == np.float32
    np.testing.assert_array_equal(view, values)
    assert pixel_size == pytest.approx(2.5)
    view *= 2
    assert path.read_bytes() == before
    with pytest.raises(InputError, match="not found"):
        view_mrc(tmp_path / "b.mrc")


def test_place_in_space_is_taken_over(tmp_path):
    with mrcfile.new(tmp_path / "a.mrc") as mrc:
        mrc.set_data(np.ones((4, 4, 4), np.float32))
        mrc.header.origin, mrc.nstart = (-8.5, 2.0, 3.0), (-4, 5, 6)
    header = read_mrc_header(tmp_path / "a.mrc")
    assert header.origin_angstrom == (-8.5, 2.0, 3.0)
    assert header.start_px == (-4, 5, 6)
    for placed_as, start in ((header, (-4, 5, 6)), (None, (0, 0, 0))):
        write_mrc(tmp_path / "b.mrc", np.ones((6, 6, 6)), 2.0, placed_as)
        again = read_mrc_header(tmp_path / "b.mrc")
        assert again.start_px == start
        assert again.origin_angstrom == ((-8.5, 2.0, 3.0) if placed_as else (0.0, 0.0, 0.0))
        assert again.pixel_size_angstrom == pytest.approx(2.0)


def test_same_content_gives_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_mrc(tmp_path / f"{name}.mrc", np.ones((4, 4)), 1.0)
    assert (tmp_path / "a.mrc").read_bytes() == (tmp_path / "b.mrc").read_bytes()


def test_broken_values_are_never_written(tmp_path):
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="not finite"):
            write_mrc(tmp_path / "a.mrc", np.array([[1.0, value]]), 1.0)
    assert not list(tmp_path.iterdir())


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.mrc: MRC file not found"):
        read_mrc(tmp_path / "nothing.mrc")


def test_truncated_file(tmp_path):
    write_mrc(tmp_path / "a.mrc", np.ones((8, 8)), 1.0)
    whole = (tmp_path / "a.mrc").read_bytes()
    for length in (0, 500, 1024, len(whole) - 1):
        (tmp_path / "a.mrc").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"a\.mrc: is cut short"):
            read_mrc(tmp_path / "a.mrc")


def test_header_that_announces_a_giant_is_refused_before_memory_is_asked_for(tmp_path):
    write_mrc(tmp_path / "a.mrc", np.ones((8, 8)), 1.0)
    raw = bytearray((tmp_path / "a.mrc").read_bytes())
    raw[:12] = np.array([10**9, 10**9, 10**9], dtype="<i4").tobytes()
    (tmp_path / "a.mrc").write_bytes(raw)
    with pytest.raises(InputError, match="is cut short"):
        read_mrc(tmp_path / "a.mrc")


def test_unknown_mode_and_alien_files(tmp_path):
    (tmp_path / "a.mrc").write_bytes(b"\xff" * 4096)
    with pytest.raises(InputError, match="is not an MRC file that mlit reads"):
        read_mrc(tmp_path / "a.mrc")
    write_mrc(tmp_path / "b.mrc", np.ones((8, 8)), 1.0)
    raw = bytearray((tmp_path / "b.mrc").read_bytes())
    raw[12:16] = np.array([101], dtype="<i4").tobytes()
    (tmp_path / "b.mrc").write_bytes(raw)
    with pytest.raises(InputError, match="mode 101"):
        read_mrc(tmp_path / "b.mrc")
