"""Places of hyperparameters: one tilt's own, or those of several."""

import torch

from mlit.deformation.defocus import Defocus
from mlit.deformation.hyper_layout import HyperLayout
from mlit.deformation.image_warp import ImageWarp
from mlit.deformation.phase_shift import PhaseShift
from mlit.deformation.spherical_aberration import SphericalAberration
from tests.brute_force import flat_geometry, imaging_of


def layout():
    """Two parameters a tilt, one for all tilts, one a tilt again, and three that are correlated over the tilts."""
    imaging = imaging_of(flat_geometry(3, 400.0))
    blocks = [
        ImageWarp(imaging, (1, 1), 8.0, 3.0, 0.5),
        SphericalAberration(imaging, 0.5),
        Defocus(imaging, 0.05),
        PhaseShift(imaging, 20.0, 5.0),
    ]
    return HyperLayout.of(blocks, 3)


def test_parameters_of_one_tilt_are_told_from_the_others():
    found = layout()
    assert found.columns.tolist() == [[0, 1, 6, 7, 10], [2, 3, 6, 8, 11], [4, 5, 6, 9, 12]]
    assert found.is_local.tolist() == [True, True, False, True, False]
    assert found.local.tolist() == [[0, 1, 7], [2, 3, 8], [4, 5, 9]]
    assert found.rest.tolist() == [6, 10, 11, 12], "correlated parameters belong together"
    assert found.count == 13


def test_places_lead_back():
    found = layout()
    tilt, place = found.places()
    for parameter in range(found.count):
        if tilt[parameter] < 0:
            assert found.rest[place[parameter]] == parameter
        else:
            assert found.local[tilt[parameter], place[parameter]] == parameter


def test_join_puts_values_where_they_belong():
    found = layout()
    values = torch.arange(13.0, dtype=torch.float64)
    assert torch.equal(found.join(values[found.local], values[found.rest]), values)


def test_no_blocks():
    empty = HyperLayout.of([], 4)
    assert empty.columns.shape == (4, 0)
    assert empty.count == 0
