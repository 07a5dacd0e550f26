import numpy as np
import pytest
import torch

from mlit.simulation.config_errors import DeformationConfig
from mlit.simulation.config_images import MicroscopeConfig, TiltSchemeConfig
from mlit.simulation.deformations import draw_geometry
from mlit.simulation.tilt_scheme import dose_symmetric_scheme

SIZE = torch.tensor([1000.0, 900.0, 400.0], dtype=torch.float64)
QUIET = {name: 0.0 for name in ("shift_error_angstrom", "stage_angle_error_deg", "image_warp_error_angstrom",
                                "volume_warp_error_angstrom", "defocus_error_um")}  # fmt: skip

GRIDS = {"image_warp", "volume_warp", "stage_angles_rad"}


def draw(seed=0, **deformation):
    scheme = dose_symmetric_scheme(TiltSchemeConfig((60.0,), (1.0,)), 0, np.random.default_rng(0))
    config = DeformationConfig(**deformation)
    return draw_geometry(scheme, config, MicroscopeConfig(), SIZE, np.random.default_rng(seed))


def differing(pair):
    return {
        name
        for name, value in vars(pair.true).items()
        if not (torch.equal(value, getattr(pair.start, name)) if isinstance(value, torch.Tensor) else
                value == getattr(pair.start, name))
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "field"),
    [
        ({"shift_error_angstrom": 4.0}, "axis_offset_angstrom"),
        ({"stage_angle_error_deg": 0.2}, "stage_angles_rad"),
        ({"image_warp_error_angstrom": 3.0}, "image_warp"),
        ({"volume_warp_error_angstrom": 2.0}, "volume_warp"),
        ({"defocus_error_um": 0.05}, "defocus_um"),
        ({"axis_angle_error_deg": 0.5}, "axis_angle_rad"),
        ({"tilt_axis_error_deg": 0.5}, "axis_angle_rad"),
        ({"tilt_angle_error_deg": 0.5}, "tilt_angle_rad"),
        ({"wrong_hand": True}, "depth_inverted"),
    ],
)
def test_each_error_enters_its_own_field_only(error, field):
    pair = draw(**(QUIET | error))
    same_shape = {name for name in differing(pair) if name not in ("image_warp", "volume_warp", "stage_angles_rad")}
    nonzero = {n for n in ("image_warp", "volume_warp", "stage_angles_rad") if getattr(pair.true, n).abs().max() > 0}
    assert same_shape | nonzero == {field}


def test_errors_have_the_sizes_asked_for():
    pair = draw()
    assert float((pair.true.axis_offset_angstrom - pair.start.axis_offset_angstrom).std()) == pytest.approx(4, rel=0.2)
    assert float((pair.true.defocus_um - pair.start.defocus_um).std()) == pytest.approx(0.05, rel=0.25)
    assert float(torch.rad2deg(pair.true.stage_angles_rad).std()) == pytest.approx(0.25, rel=0.2)
    assert float(pair.true.image_warp.std()) == pytest.approx(3.0, rel=0.1)


def test_errors_of_the_stage_differ_from_tilt_to_tilt_and_change_no_other_draw():
    pair, still = draw(tilt_angle_error_deg=0.5, tilt_axis_error_deg=0.3), draw()
    angle = torch.rad2deg(pair.true.tilt_angle_rad - pair.start.tilt_angle_rad)
    axis = torch.rad2deg(pair.true.axis_angle_rad - pair.start.axis_angle_rad)
    assert float(angle.std()) == pytest.approx(0.5, rel=0.2)
    assert float(axis.std()) == pytest.approx(0.3, rel=0.2)
    assert torch.equal(pair.true.volume_warp, still.true.volume_warp)
    assert torch.equal(pair.true.axis_offset_angstrom, still.true.axis_offset_angstrom)


def test_image_warp_has_no_mean_and_one_node_a_tilt():
    warp = draw().true.image_warp
    assert warp.shape == (121, 4, 4, 2)
    assert warp.mean((1, 2)).abs().max() < 1e-12


def test_volume_warp_grows_from_nothing_with_dose():
    strength = torch.stack([draw(seed).true.volume_warp.square().mean((1, 2, 3, 4)) for seed in range(20)]).mean(0)
    assert strength[0] == 0
    assert (strength.diff() > 0).all()
    assert float(strength[-1].sqrt()) == pytest.approx(2.0, rel=0.15)


def test_single_node_grids_are_allowed():
    pair = draw(image_warp=(1, 1), volume_warp=(1, 1, 1, 1))
    assert pair.true.image_warp.abs().max() == 0
    assert pair.true.volume_warp.shape == (1, 1, 1, 1, 3)
