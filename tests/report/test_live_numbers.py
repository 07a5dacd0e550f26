"""Scalars of an iteration against the parameters that they are of."""

import math
from types import SimpleNamespace

import pytest
import torch

from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.deformation.series_model import SeriesModel
from mlit.likelihood.deviation import Deviation
from mlit.report.live_numbers import block_scalars, fit_scalars, pose_scalars
from mlit.training.series_status import SeriesStatus


class Shift:
    """A block with values in Å, twice its raw ones, and prior widths of one."""

    name, unit = "shift", "angstrom"
    prior = SimpleNamespace(width=lambda: torch.ones(2))

    def __init__(self, *raw):
        self.raw = torch.tensor(raw)

    def in_units(self, raw):
        return 2 * raw

    def physical(self):
        return self.in_units(self.raw)


class Model(SeriesModel):
    """A model of blocks or poses alone."""

    def __init__(self, *blocks, poses=None):
        torch.nn.Module.__init__(self)
        self.own, self.poses = blocks, poses

    @property
    def block_list(self):
        return list(self.own)


def test_blocks_are_root_mean_squares_over_the_series_that_refined_them():
    models = {name: Model(Shift(*raw)) for name, raw in (("A", (3.0, 4.0)), ("B", (9.0, 9.0)))}
    errors = {"A": {"shift": torch.tensor([0.3, 0.4])}, "B": {}}
    before = {"A": {"shift": torch.tensor([6.0, 4.0])}}
    assert block_scalars(models, errors, before) == {
        "since_start/shift_angstrom": pytest.approx(2 * math.sqrt(12.5)),
        "standard_error/shift_angstrom": pytest.approx(2 * math.sqrt(0.125)),
        "prior_width/shift_angstrom": pytest.approx(2),
        "change/shift_angstrom": pytest.approx(math.sqrt(8)),
    }
    for other in ({}, {"A": {"shift": torch.zeros(3)}}):  # the grid of a model that was just taken over
        assert "change/shift_angstrom" not in block_scalars(models, errors, other)


def test_poses_are_along_the_axes_in_physical_units():
    poses = Poses(
        torch.zeros(2, 3, dtype=torch.float64),
        torch.eye(3, dtype=torch.float64).expand(2, 3, 3),
        PosePrior((10.0,) * 3, (5.0,) * 3),
    )
    with torch.no_grad():
        poses.raw[0, :3] = 0.3
        poses.raw[:, 3:] = 2.0
    covariance = torch.eye(6, dtype=torch.float64).expand(2, 6, 6) * 0.01
    found = pose_scalars({"A": Model(poses=poses)}, {"A": {"poses": covariance}}, 0, "ribosome")
    assert found == {
        "since_start/position_angstrom/ribosome": pytest.approx(3 / math.sqrt(2)),
        "since_start/rotation_deg/ribosome": pytest.approx(10),
        "standard_error/position_angstrom/ribosome": pytest.approx(1),
        "standard_error/rotation_deg/ribosome": pytest.approx(0.5),
        "prior_width/position_angstrom/ribosome": pytest.approx(10),
        "prior_width/rotation_deg/ribosome": pytest.approx(5),
    }


def test_fits_are_weighed_by_their_images():
    def status(images, moved, passes=2):
        return SeriesStatus("improved", passes, 10.0, 15.0, 3.0 * images, images, 8.0, moved, 0.1, moved)

    statuses = {"A": status(30, Deviation(1.0, 0.5, 20.0)), "B": status(10, Deviation(3.0, 0.5, 20.0))}
    statuses["C"] = status(50, Deviation(9.0, 9.0, 9.0), passes=0)  # not in this iteration
    found = fit_scalars(statuses)
    assert found["change/images_position_angstrom"] == pytest.approx(math.sqrt((30 + 10 * 9) / 40))
    assert found["expected_error/images_defocus_nm"] == pytest.approx(20)
    assert (found["gain_nats/A"], found["held_out_nats_per_image/B"], found["held_out_nats_per_image/all"]) == (5, 3, 3)
    assert not any("/C" in tag for tag in found)
    assert fit_scalars({"C": statuses["C"]}) == {}
