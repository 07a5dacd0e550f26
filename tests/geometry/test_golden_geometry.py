"""Geometry against values that Warp's native program wrote."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lxml import etree

from mlit.geometry.linear_grid import evaluate_volume_warp
from mlit.geometry.rotations import matrix_from_euler
from mlit.geometry.series_geometry import SeriesGeometry
from mlit.geometry.spline import natural_spline_weights
from tests.support import shared_path


def tensor(values) -> torch.Tensor:
    return torch.as_tensor(np.asarray(values, dtype=np.float64))


def star_table(path: Path, block: str) -> np.ndarray:
    """Numbers of one loop; words become NaN."""
    lines = path.read_text().split(f"data_{block}\n", 1)[1].split("\ndata_", 1)[0].splitlines()
    rows = [line.split() for line in lines if line.strip() and not line.startswith(("loop_", "_"))]

    def number(word: str) -> float:
        try:
            return float(word)
        except ValueError:
            return math.nan

    return np.array([[number(word) for word in row] for row in rows])


def xml_list(root, name: str) -> np.ndarray:
    return np.array([float(word) for word in root.findtext(name).split()])


def xml_grid(root, name: str) -> np.ndarray:
    """Grid with axes z, y, x."""
    element = root.find(name)
    grid = np.empty([int(element.get(key)) for key in ("Depth", "Height", "Width")])
    for node in element.iter("Node"):
        grid[int(node.get("Z")), int(node.get("Y")), int(node.get("X"))] = float(node.get("Value"))
    return grid


@pytest.fixture(scope="module")
def refined_series() -> SeriesGeometry:
    root = etree.parse(str(shared_path("golden", "TS_1.xml"))).getroot()
    pixel = 0.834
    movement = [xml_grid(root, f"GridMovement{axis}") for axis in "XY"]
    angles = [np.deg2rad(xml_grid(root, f"GridAngle{axis}")) for axis in "XYZ"]
    return SeriesGeometry(
        tilt_angle_rad=tensor(np.deg2rad(xml_list(root, "Angles"))),
        axis_angle_rad=tensor(np.deg2rad(xml_list(root, "AxisAngle"))),
        axis_offset_angstrom=tensor(np.stack([xml_list(root, "AxisOffsetX"), xml_list(root, "AxisOffsetY")], -1)),
        dose=tensor(xml_list(root, "Dose")),
        defocus_um=tensor(xml_grid(root, "GridCTF").ravel()),
        level_angle_x_rad=tensor(math.radians(float(root.get("LevelAngleX")))),
        level_angle_y_rad=tensor(math.radians(float(root.get("LevelAngleY")))),
        volume_size_angstrom=tensor([4000, 5700, 1000]) * pixel,
        image_size_angstrom=tensor([5760, 4092]) * pixel,
        depth_inverted=root.get("AreAnglesInverted") == "True",
        image_warp=tensor(np.stack(movement, -1)),
        stage_angles_rad=tensor(np.stack(angles, -1)),
    )


@pytest.fixture(scope="module")
def native_points(refined_series) -> torch.Tensor:
    centred = star_table(shared_path("golden", "TS_1.star"), "points")
    return tensor(centred) + refined_series.volume_size_angstrom / 2


@pytest.fixture(scope="module")
def native_mappings() -> torch.Tensor:
    return tensor(star_table(shared_path("golden", "TS_1.star"), "mappings")).reshape(27, 41, 10)


def test_positions_and_defocus_of_a_refined_series(refined_series, native_points, native_mappings):
    projection = refined_series.project(native_points)
    centred = projection.xy_angstrom - refined_series.image_size_angstrom / 2
    native_defocus_um = native_mappings[..., 7:9].mean(-1) * 1e-4
    torch.testing.assert_close(centred, native_mappings[..., 2:4], rtol=0, atol=1e-3)
    torch.testing.assert_close(projection.defocus_um, native_defocus_um, rtol=0, atol=1e-5)


def test_orientations_of_a_refined_series(refined_series, native_points, native_mappings):
    identity = torch.eye(3, dtype=torch.float64).expand(27, 3, 3)
    native = matrix_from_euler(torch.deg2rad(native_mappings[..., 4:7]))
    torch.testing.assert_close(refined_series.orient(identity, native_points), native, rtol=0, atol=1e-4)


def test_positions_with_a_volume_warp(refined_series):
    golden = json.loads(shared_path("golden", "tiltseries_volwarp_excerpt.json").read_text())
    x, y, z, w = golden["volume_warp_dims_XYZW"]
    warp = np.stack([np.reshape(golden["volume_warp"][axis], (w, z, y, x)) for axis in "XYZ"], -1)
    series = replace(
        refined_series,
        volume_warp=tensor(warp),
        volume_size_angstrom=tensor(golden["volume_dims"]),
        image_size_angstrom=tensor(golden["image_dims"]),
        size_rounding=tensor(golden["size_rounding"][:2]),
    )
    projection = series.project(tensor(golden["points"]))
    native = tensor(golden["positions_x_y_A_defocus_um"])
    torch.testing.assert_close(projection.xy_angstrom, native[..., :2], rtol=0, atol=1e-3)
    torch.testing.assert_close(projection.defocus_um, native[..., 2], rtol=0, atol=1e-5)


def test_four_dimensional_linear_grid():
    golden = json.loads(shared_path("golden", "lineargrid4d_excerpt.json").read_text())
    x, y, z, w = golden["dims_XYZW"]
    grid = tensor(golden["values_x_fastest"]).reshape(w, z, y, x, 1)
    coordinates = tensor(golden["coords_xyzw"])
    every_dose = evaluate_volume_warp(grid, coordinates[:, :3], coordinates[:, 3])[..., 0]
    torch.testing.assert_close(every_dose.diagonal(), tensor(golden["native"]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_native_splines(dimensions):
    path = shared_path("golden", f"reference{dimensions}d.star")
    nodes, native = star_table(path, "grid"), tensor(star_table(path, "eval"))
    shape = nodes[:, :dimensions].max(0).astype(int) + 1
    values = tensor(nodes[:, -1]).reshape(*shape[::-1])
    weights = [natural_spline_weights(int(n), native[:, axis]) for axis, n in enumerate(shape)]
    letters = "xyz"[:dimensions]
    operands = ",".join(f"p{letter}" for letter in letters)
    result = torch.einsum(f"{letters[::-1]},{operands}->p", values, *weights)
    torch.testing.assert_close(result, native[:, -1], rtol=0, atol=2e-6)


@pytest.mark.parametrize("inverted", [False, True])
def test_independent_restatement(inverted):
    golden = json.loads(shared_path("golden", "golden_geometry.json").read_text())
    movement = [golden["grid_movement_x"], golden["grid_movement_y"]]
    series = SeriesGeometry(
        tilt_angle_rad=torch.deg2rad(tensor(golden["angles"])),
        axis_angle_rad=torch.deg2rad(tensor(golden["axis"])),
        axis_offset_angstrom=tensor([golden["offx"], golden["offy"]]).T,
        dose=tensor(golden["dose"]),
        defocus_um=tensor(golden["defocus"]),
        level_angle_x_rad=torch.deg2rad(tensor(golden["level_x"])),
        level_angle_y_rad=torch.deg2rad(tensor(golden["level_y"])),
        volume_size_angstrom=tensor(golden["V"]),
        image_size_angstrom=tensor(golden["I"]),
        depth_inverted=inverted,
        image_warp=tensor(movement).permute(1, 2, 3, 0),
    )
    projection = series.project(tensor(golden["points"]))
    expected = tensor(golden["positions"][str(inverted)])
    torch.testing.assert_close(projection.xy_angstrom, expected[..., :2], rtol=0, atol=1e-9)
    torch.testing.assert_close(projection.defocus_um, expected[..., 2], rtol=0, atol=1e-12)
