from dataclasses import replace

import pytest
import torch
from jaxtyping import TypeCheckError

from mlit.geometry.linear_grid import linear_weights
from mlit.geometry.rotations import matrix_from_rotvec, rotation_x, rotation_y, rotation_z
from mlit.geometry.series_geometry import SeriesGeometry
from mlit.geometry.spline import natural_spline_weights

PARTICLES, TILTS = 3, 4


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def series() -> SeriesGeometry:
    """A series in which nothing is trivial."""
    return SeriesGeometry(
        tilt_angle_rad=torch.tensor([-0.9, -0.2, 0.4, 1.0], dtype=torch.float64),
        axis_angle_rad=1.45 + 0.01 * normal(0, TILTS),
        axis_offset_angstrom=20 * normal(1, TILTS, 2),
        dose=torch.tensor([9.0, 0.0, 3.0, 13.0], dtype=torch.float64),
        defocus_um=3 + 0.1 * normal(2, TILTS),
        volume_size_angstrom=torch.tensor([400.0, 440.0, 150.0], dtype=torch.float64),
        image_size_angstrom=torch.tensor([410.0, 430.0], dtype=torch.float64),
        level_angle_x_rad=torch.tensor(0.04, dtype=torch.float64),
        level_angle_y_rad=torch.tensor(-0.03, dtype=torch.float64),
        image_warp=3 * normal(3, TILTS, 3, 4, 2),
        stage_angles_rad=0.02 * normal(4, TILTS, 2, 3, 3),
        volume_warp=4 * normal(5, 3, 2, 3, 2, 3),
        size_rounding=torch.tensor([1.001, 0.999], dtype=torch.float64),
    )


@pytest.fixture
def position(series) -> torch.Tensor:
    fraction = torch.rand(PARTICLES, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    return fraction * series.volume_size_angstrom


@pytest.fixture
def rotation() -> torch.Tensor:
    return matrix_from_rotvec(normal(7, PARTICLES, 3))


def one_projection(series: SeriesGeometry, point: torch.Tensor, tilt: int) -> torch.Tensor:
    """Position and defocus of one particle in one tilt, step by step."""
    x, y, z = point / series.volume_size_angstrom
    dose = (series.dose[tilt] - series.dose.min()) / (series.dose.max() - series.dose.min())
    shift = torch.zeros(3, dtype=torch.float64)
    grid = series.volume_warp
    for d, dose_weight in enumerate(linear_weights(grid.shape[0], dose)):
        for k, weight_z in enumerate(linear_weights(grid.shape[1], z)):
            for j, weight_y in enumerate(linear_weights(grid.shape[2], y)):
                for i, weight_x in enumerate(linear_weights(grid.shape[3], x)):
                    shift = shift + dose_weight * weight_z * weight_y * weight_x * grid[d, k, j, i]
    matrix = rotation_z(series.axis_angle_rad[tilt])
    matrix = matrix @ rotation_y(-(series.tilt_angle_rad[tilt] + series.level_angle_y_rad))
    matrix = matrix @ rotation_x(series.level_angle_x_rad)
    rotated = matrix @ (point - series.volume_size_angstrom / 2 + shift)
    flat = rotated[:2] + series.axis_offset_angstrom[tilt] + series.image_size_angstrom / 2
    u, v = flat / series.image_size_angstrom
    rows = natural_spline_weights(series.image_warp.shape[1], v) @ series.image_warp[tilt].movedim(1, 0)
    warp = natural_spline_weights(series.image_warp.shape[2], u) @ rows
    depth = -rotated[2] if series.depth_inverted else rotated[2]
    return torch.cat([(flat - warp) * series.size_rounding, (series.defocus_um[tilt] + 1e-4 * depth)[None]])


@pytest.mark.parametrize("inverted", [False, True])
def test_projection_agrees_with_the_rules_step_by_step(series, position, inverted):
    series = replace(series, depth_inverted=inverted)
    projection = series.project(position)
    expected = torch.stack([torch.stack([one_projection(series, p, t) for t in range(TILTS)]) for p in position])
    torch.testing.assert_close(projection.xy_angstrom, expected[..., :2], rtol=0, atol=1e-10)
    torch.testing.assert_close(projection.defocus_um, expected[..., 2], rtol=0, atol=1e-12)


def test_orientation_agrees_with_the_rules_step_by_step(series, position, rotation):
    result = series.orient(rotation, position)
    x_weights = natural_spline_weights(3, position[:, 0] / series.volume_size_angstrom[0])
    y_weights = natural_spline_weights(2, position[:, 1] / series.volume_size_angstrom[1])
    for p in range(PARTICLES):
        for t in range(TILTS):
            angles = torch.einsum("y,x,yxc->c", y_weights[p], x_weights[p], series.stage_angles_rad[t])
            stage = rotation_z(angles[2]) @ rotation_y(angles[1]) @ rotation_x(angles[0])
            expected = stage @ series.tilt_matrices()[t] @ rotation[p]
            torch.testing.assert_close(result[p, t], expected, rtol=0, atol=1e-12)


def test_one_position_for_each_tilt_is_the_same_as_one_for_all(series, position, rotation):
    moving = position[:, None].expand(-1, TILTS, -1)
    torch.testing.assert_close(series.project(moving), series.project(position))
    turning = rotation[:, None].expand(-1, TILTS, -1, -1)
    torch.testing.assert_close(series.orient(turning, moving), series.orient(rotation, position))


def test_trivial_grids_leave_plain_tilt_geometry(series, position, rotation):
    names = ("image_warp", "stage_angles_rad", "volume_warp")
    plain = replace(
        series,
        size_rounding=torch.ones(2, dtype=torch.float64),
        **{name: 0 * getattr(series, name)[:1] for name in names},
    )
    matrices = plain.tilt_matrices()
    rotated = torch.einsum("tij,pj->pti", matrices, position - plain.volume_size_angstrom / 2)
    expected = rotated[..., :2] + plain.axis_offset_angstrom + plain.image_size_angstrom / 2
    torch.testing.assert_close(plain.project(position).xy_angstrom, expected)
    torch.testing.assert_close(plain.orient(rotation, position), matrices @ rotation[:, None])
    shared = replace(plain, stage_angles_rad=torch.full((1, 1, 1, 3), 0.1, dtype=torch.float64))
    tenth = torch.tensor(0.1, dtype=torch.float64)
    expected = rotation_z(tenth) @ rotation_y(tenth) @ rotation_x(tenth) @ matrices @ rotation[:, None]
    torch.testing.assert_close(shared.orient(rotation, position), expected)


def test_centre_of_the_volume_meets_the_centre_of_the_image(series):
    plain = SeriesGeometry(
        series.tilt_angle_rad,
        series.axis_angle_rad,
        torch.zeros(TILTS, 2, dtype=torch.float64),
        series.dose,
        series.defocus_um,
        series.volume_size_angstrom,
        series.image_size_angstrom,
    )
    projection = plain.project(series.volume_size_angstrom[None] / 2)
    centre = (series.image_size_angstrom / 2).expand(1, TILTS, 2)
    torch.testing.assert_close(projection.xy_angstrom, centre)
    torch.testing.assert_close(projection.defocus_um[0], series.defocus_um)


def test_series_of_one_tilt(series, position):
    lists = ("tilt_angle_rad", "axis_angle_rad", "axis_offset_angstrom", "dose", "defocus_um", "image_warp")
    single = replace(series, **{name: getattr(series, name)[:1] for name in lists})
    projection = single.project(position)
    assert projection.xy_angstrom.shape == (PARTICLES, 1, 2)
    assert torch.isfinite(projection.xy_angstrom).all()


DIFFERENTIABLE = (
    "tilt_angle_rad",
    "axis_angle_rad",
    "axis_offset_angstrom",
    "defocus_um",
    "level_angle_x_rad",
    "level_angle_y_rad",
    "volume_size_angstrom",
    "image_size_angstrom",
    "image_warp",
    "stage_angles_rad",
    "volume_warp",
    "size_rounding",
)


def test_gradients_of_every_field(series, position, rotation):
    def everything(place, own, *values):
        changed = replace(series, **dict(zip(DIFFERENTIABLE, values, strict=True)))
        return (*changed.project(place), changed.orient(own, place))

    inputs = [position, rotation, *(getattr(series, name) for name in DIFFERENTIABLE)]
    inputs = [value.clone().requires_grad_() for value in inputs]
    assert torch.autograd.gradcheck(everything, inputs, fast_mode=True)


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("varied", [(0,), (1,), (2,), (3,), (0, 1, 2, 3)])
def test_forward_mode_under_vmap_is_the_finite_difference(series, position, rotation, varied, moving):
    if moving:
        position = position[:, None].repeat(1, TILTS, 1)
    start = [series.image_warp, series.stage_angles_rad, series.volume_warp, position]

    def everything(*chosen):
        values = list(start)
        for index, value in zip(varied, chosen, strict=True):
            values[index] = value
        changed = replace(series, image_warp=values[0], stage_angles_rad=values[1], volume_warp=values[2])
        return (*changed.project(values[3]), changed.orient(rotation, values[3]))

    primals = tuple(start[index] for index in varied)
    tangents = tuple(normal(9 + index, 5, *start[index].shape) for index in varied)
    forward = torch.vmap(lambda *t: torch.func.jvp(everything, primals, t)[1])(*tangents)
    step = 1e-5
    for direction in range(5):
        above = everything(*(p + step * t[direction] for p, t in zip(primals, tangents, strict=True)))
        below = everything(*(p - step * t[direction] for p, t in zip(primals, tangents, strict=True)))
        for derivative, high, low in zip(forward, above, below, strict=True):
            torch.testing.assert_close(derivative[direction], (high - low) / (2 * step), rtol=1e-6, atol=1e-7)


def test_moving_to_a_device_keeps_values(series):
    moved = series.to("cpu")
    assert torch.equal(moved.image_warp, series.image_warp)
    assert moved.depth_inverted == series.depth_inverted


def test_lists_of_different_length_are_refused(series):
    with pytest.raises((ValueError, TypeCheckError), match="dose"):
        replace(series, dose=series.dose[:3])
