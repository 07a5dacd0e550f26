"""Phases over the Fourier plane against the formulas of their Zernike terms."""

import base64
import io
import re

import numpy as np
import pytest
from matplotlib.image import imread

from mlit.optics.zernike import EVEN_INDICES, ODD_INDICES
from mlit.report.aberrations import GRID, aberration_numbers, aberration_parts
from mlit.report.html_report import write_report
from mlit.report.run_folder import RunFolder

XML = '<?xml version="1.0" encoding="utf-8"?>\n<TiltSeries><Angles>0\n3</Angles><Dose>0\n3</Dose>{}</TiltSeries>'


def write_series(folder, name, **coefficients):
    """An XML file with Zernike coefficients by index, ``odd={(3, 1): 20.0}``."""
    params = {"Voltage": "300", "Cs": "2.7"}
    for kind, indices in (("odd", ODD_INDICES), ("even", EVEN_INDICES)):
        given = coefficients.get(kind, {})
        params[f"ZernikeCoeffs{kind.capitalize()}"] = ";".join(str(given.get(one, 0.0)) for one in indices)
    text = "".join(f'<Param Name="{key}" Value="{value}"/>' for key, value in params.items())
    (folder / "warp_tiltseries").mkdir(exist_ok=True)
    (folder / "warp_tiltseries" / f"{name}.xml").write_text(XML.format(f"<CTF>{text}</CTF>"), encoding="utf-8")


@pytest.fixture
def folder(fake):
    return fake.write()


def test_phases_are_the_mean_of_the_zernike_terms_to_the_resolution_of_the_map(folder):
    write_series(folder, "TS_1", odd={(3, -1): 40.0}, even={(4, 4): 900.0})
    write_series(folder, "TS_2", odd={(3, -1): 60.0}, even={(4, 4): 900.0})
    odd, even = aberration_numbers(RunFolder(folder))
    assert (odd.kind, even.kind, odd.series) == ("odd", "even", 2)
    assert 1 / odd.highest_per_angstrom == pytest.approx(7.38, abs=0.02)  # the curve falls below 0.143 there
    along = np.linspace(-odd.highest_per_angstrom, odd.highest_per_angstrom, GRID)
    kx, ky = np.meshgrid(along, along)
    k2 = kx**2 + ky**2
    inside = k2 <= odd.highest_per_angstrom**2 * (1 + 1e-9)
    coma = np.rad2deg(50 * (3 * k2 - 2) * ky)
    np.testing.assert_allclose(odd.phase_deg[inside], coma[inside], atol=1e-9)
    fourfold = np.rad2deg(900 * (kx**4 - 6 * kx**2 * ky**2 + ky**4))
    np.testing.assert_allclose(even.phase_deg[inside], fourfold[inside], atol=1e-9)
    assert np.isnan(odd.phase_deg[~inside]).all()
    assert odd.scatter_deg == pytest.approx(np.sqrt(np.mean((0.2 * coma[inside]) ** 2)))
    assert even.scatter_deg == pytest.approx(0, abs=1e-9)


def test_colours_show_the_sign_and_ky_points_up(folder):
    write_series(folder, "TS_1", odd={(1, -1): 3.0})
    (part,) = aberration_parts(RunFolder(folder))
    (encoded,) = re.findall(r'href="data:image/png;base64,([^"]+)"', part.body)
    picture = imread(io.BytesIO(base64.b64decode(encoded)))
    top, middle, bottom = (picture[row, GRID // 2] for row in (2, GRID // 2, GRID - 3))
    assert top[2] > top[0]  # violet: above zero
    assert bottom[0] > bottom[2]  # orange: below zero
    assert middle[:3].min() > 0.95
    assert picture[0, 0, 3] == 0
    assert "kx, 1/Å" in part.body
    assert "of the only series" in part.caption
    assert "the run has not refined it" in part.caption


def test_series_that_cancel_are_white(folder):
    write_series(folder, "TS_1", odd={(3, -1): 40.0})
    write_series(folder, "TS_2", odd={(3, -1): -40.0})
    (part,) = aberration_parts(RunFolder(folder))
    (encoded,) = re.findall(r'href="data:image/png;base64,([^"]+)"', part.body)
    picture = imread(io.BytesIO(base64.b64decode(encoded)))
    assert picture[:, :, :3][picture[:, :, 3] > 0].min() > 0.95


def test_no_figure_without_aberrations(folder):
    assert aberration_parts(RunFolder(folder)) == []
    write_series(folder, "TS_1")
    assert aberration_parts(RunFolder(folder)) == []
    write_series(folder, "TS_1", even={(4, 2): 1000.0})
    assert [part.name for part in aberration_parts(RunFolder(folder))] == ["aberrations-even"]
    assert 'id="aberrations-even"' in write_report(folder).read_text(encoding="utf-8")
