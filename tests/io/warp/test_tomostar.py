import numpy as np
import pytest

from mlit.errors import InputError
from mlit.io.warp.tomostar import Tomostar, read_tomostar, write_tomostar
from tests.support import shared_path


def test_round_trip(tmp_path):
    tomostar = Tomostar(
        ("../f/a.tif", "../f/b.tif"), np.array([-3.0, 3.0]), np.array([3.0, 0.0]), np.array([85.3, 85.3])
    )
    write_tomostar(tmp_path / "a.tomostar", tomostar)
    again = read_tomostar(tmp_path / "a.tomostar")
    assert again.movie_names == tomostar.movie_names
    assert again.tilts == 2
    np.testing.assert_array_equal(again.angle_deg, tomostar.angle_deg)
    np.testing.assert_array_equal(again.dose, tomostar.dose)
    np.testing.assert_array_equal(again.axis_angle_deg, tomostar.axis_angle_deg)


def test_real_file():
    tomostar = read_tomostar(shared_path("data", "metadata", "warp_m", "Position_16_3.tomostar"))
    assert tomostar.tilts == 31
    assert tomostar.movie_names[0].startswith("../warp_frameseries/Position_16_3_031")
    assert tomostar.dose.max() == pytest.approx(116.1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data_\nloop_\n_wrpAngleTilt #1\n1\n", "lists no tilt movies"),
        ("data_\nloop_\n_wrpMovieName #1\n_wrpAngleTilt #2\n_wrpDose #3\n", "lists no tilt movies"),
        ("data_\nloop_\n_wrpMovieName #1\n_wrpAngleTilt #2\na nan\n", "row 1: wrpAngleTilt is 'nan'"),
        ("data_\nloop_\n_wrpMovieName #1\n_wrpAngleTilt #2\na 1\n", "has no column wrpDose"),
    ],
)
def test_faults(tmp_path, text, message):
    (tmp_path / "a.tomostar").write_text(text)
    with pytest.raises(InputError, match=message):
        read_tomostar(tmp_path / "a.tomostar")
