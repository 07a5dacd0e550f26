"""The table of what is known of each tilt."""

import numpy as np
import pandas as pd
import pytest
import torch

from mlit.likelihood.credence import Credence
from mlit.project.tilts_table import COLUMNS, tilt_rows, write_tilts
from mlit.project.warp_project import load_warp_project


@pytest.fixture
def series(tiny):
    """Series B: the last of its four tilts is switched off."""
    return load_warp_project(tiny.settings, tiny.particles).series[1]


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_rows_are_tilts_against_the_median_of_those_in_use(series, tmp_path):
    credence = Credence(doubles(9, 9, 9), doubles(8, -3, 7, 5), doubles(1, 1, 0.5, 1))
    rows = tilt_rows(series, credence, doubles(0.6, 0.1, 0.5, 7))
    write_tilts(tmp_path / "tilts.csv", [rows, rows.assign(series="C")])
    table = pd.read_csv(tmp_path / "tilts.csv")
    assert tuple(table.columns) == COLUMNS
    assert table["series"].tolist() == ["B"] * 4 + ["C"] * 4
    assert table["tilt"].tolist() == [1, 2, 3, 4] * 2
    assert table["used"].tolist() == [1, 1, 1, 0] * 2
    np.testing.assert_allclose(table["amplitude"][:4], [1.2, 0.2, 1.0, np.nan])
    np.testing.assert_allclose(table["lit"][:4], [1, 1, 0.5, np.nan])
    np.testing.assert_allclose(table["evidence"][:4], [8, -3, 7, np.nan])
    np.testing.assert_allclose(table["angle_deg"][:4], series.geometry.tilt_angle_rad.rad2deg(), rtol=1e-4)
    np.testing.assert_allclose(table["dose"][:4], series.geometry.dose, rtol=1e-4)


def test_a_run_without_fits_has_an_empty_table(tmp_path):
    write_tilts(tmp_path / "tilts.csv", [])
    assert (tmp_path / "tilts.csv").read_text() == ",".join(COLUMNS) + "\n"
