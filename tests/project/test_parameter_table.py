"""The table of hyperparameters."""

import csv

import pytest
import torch

from mlit.deformation.defocus import Defocus
from mlit.deformation.image_warp import ImageWarp
from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.deformation.series_model import SeriesModel
from mlit.project.parameter_table import COLUMNS, write_parameters
from tests.brute_force import flat_geometry, imaging_of, rotations


@pytest.fixture
def rows(tmp_path):
    imaging = imaging_of(flat_geometry(2, 400.0))
    blocks = [ImageWarp(imaging, (2, 1), 6.0, 3.0, 0.5), Defocus(imaging, 0.05)]
    model = SeriesModel(imaging, Poses(torch.full((3, 3), 100.0), rotations(3), PosePrior(5.0, 2.0)), blocks)
    with torch.no_grad():
        blocks[0].raw.copy_(torch.arange(8.0) / 10)
        blocks[1].raw.copy_(torch.tensor([0.5, -1.0]))
    write_parameters(
        tmp_path / "S.csv", model, {"defocus": torch.tensor([0.2, 0.4]), "image_warp": torch.full((8,), 0.1)}
    )
    with open(tmp_path / "S.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_parameter_has_a_row(rows):
    assert tuple(rows[0]) == COLUMNS
    assert [row["block"] for row in rows] == ["image_warp"] * 8 + ["defocus"] * 2


def test_values_errors_and_widths_are_in_physical_units(rows):
    last = rows[-1]
    assert (last["parameter"], last["unit"]) == ("tilt=1", "um")
    numbers = [float(last[key]) for key in ("value", "standard_error", "prior_width")]
    assert numbers == pytest.approx([-0.05, 0.02, 0.05])
    warp = next(row for row in rows if row["parameter"] == "tilt=0 y=0 x=1 axis=1")
    numbers = [float(warp[key]) for key in ("value", "standard_error", "prior_width")]
    assert numbers == pytest.approx([0.9, 0.3, (6.0**2 + 3.0**2) ** 0.5], rel=1e-5)


def test_blocks_that_were_not_refined_are_left_out(tmp_path):
    imaging = imaging_of(flat_geometry(2, 400.0))
    model = SeriesModel(imaging, Poses(torch.zeros(1, 3), rotations(1), PosePrior(5.0, 2.0)), [Defocus(imaging, 0.05)])
    write_parameters(tmp_path / "S.csv", model, {"poses": torch.eye(6)[None]})
    assert (tmp_path / "S.csv").read_text().splitlines() == [",".join(COLUMNS)]
