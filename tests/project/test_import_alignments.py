"""Alignments of IMOD and AreTomo: what Warp made of one, and local parts of known shape."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mlit.errors import InputError
from mlit.io.aretomo.alignment import AreTomoAlignment, write_alignment
from mlit.io.imod.angles import write_angles
from mlit.io.imod.local_alignment import LocalAlignment, write_local_alignment
from mlit.io.imod.transforms import Transforms, read_transforms, transforms_from_rows, write_transforms
from mlit.io.warp.settings import WarpSettings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.aretomo_alignment import AreTomoSeries
from mlit.project.external_alignment import ExternalAlignment, points_in_plane
from mlit.project.imod_alignment import ImodAlignment
from mlit.project.import_alignments import ImportedSeries, import_series
from mlit.project.xml_geometry import geometry_from_xml
from tests.support import shared_path

PIXEL = 5.0
SIZE_PX = (400.0, 300.0)
VOLUME = (2000.0, 1500.0, 400.0)
ANGLES = np.array([-50.0, -20.0, 1.0, 30.0, 60.0])


def settings(root) -> WarpSettings:
    (root / "xml").mkdir(exist_ok=True)
    size = (VOLUME[0] / PIXEL, VOLUME[1] / PIXEL, VOLUME[2] / PIXEL)
    return WarpSettings(root / "x.settings", root / "tomostar", root / "xml", "*.tomostar", PIXEL, 0.0, size)


def write_series(root, angles=ANGLES, **attributes) -> WarpSettings:
    own = settings(root)
    count = len(angles)
    lists = {"Angles": angles, "Dose": np.arange(count), "AxisAngle": np.zeros(count), "UseTilt": [True] * count}
    image = (SIZE_PX[0] * PIXEL, SIZE_PX[1] * PIXEL)
    xml = TiltSeriesXml.new(
        "S",
        {**lists, "MoviePath": [f"{i}.tif" for i in range(count)]},
        {"ImageDimensionsAngstrom": image, "VolumeDimensionsAngstrom": VOLUME, **attributes},
    )
    xml.write(own.processing_folder / "S.xml")
    return own


def transforms(scale: float = 1.0, skew: float = 0.0) -> Transforms:
    angle = np.deg2rad(84 + np.arange(5) * 0.1)
    rows = [
        [scale * c, skew - scale * s, scale * s, scale * c, 3.0 * i - 5, 7 - i * i]
        for i, (c, s) in enumerate(zip(np.cos(angle), np.sin(angle), strict=True))
    ]
    return transforms_from_rows(np.array(rows))


def local_alignment(rng) -> LocalAlignment:
    areas = (3, 2)
    rows = np.zeros((6, 5, 6))
    rows[..., :4] = np.eye(2).reshape(-1) + rng.normal(0, 2e-3, (6, 5, 4))
    rows[..., 4:] = rng.normal(0, 2, (6, 5, 2))
    return LocalAlignment(
        areas=areas,
        start_px=(60.0, 80.0),
        spacing_px=(130.0, 150.0),
        pixel_size=1.0,
        tilt_change_deg=rng.normal(0, 0.2, (6, 5)).round(2),
        xtilt_change_deg=rng.normal(0, 0.2, (6, 5)).round(2),
        z_factor=rng.normal(0, 0.01, (6, 5, 2)).round(6),
        transforms=tuple(transforms_from_rows(np.round(one, 6)) for one in rows),
    )


def positions_px(series: ImportedSeries, points_px: np.ndarray) -> np.ndarray:
    """Return where mlit puts points of each tilt, from the centre of the image in pixels of the alignment."""
    image = (SIZE_PX[0] * PIXEL, SIZE_PX[1] * PIXEL)
    geometry = geometry_from_xml(series.xml, VOLUME, image)
    centre = torch.tensor(VOLUME, dtype=torch.float64) / 2
    rows = []
    for tilt, points in enumerate(points_px):
        xy = geometry.project(torch.from_numpy(points) * PIXEL + centre).xy_angstrom[:, tilt]
        rows.append((xy.numpy() - np.array(image) / 2) / PIXEL)
    return np.stack(rows)


def places(alignment: ExternalAlignment, rng) -> np.ndarray:
    """Return points of the sample in its middle plane that the images show."""
    inside = (rng.uniform(0.02, 0.98, (200, 2)) - 0.5) * SIZE_PX
    return points_in_plane(alignment, inside, 0.0)


def place_of_tilt(p, alignment: ImodAlignment, tilt: int) -> np.ndarray:
    """Return where IMOD finds one point in the raw image, written out for one point: the reference."""
    local, (x, y, z) = alignment.local, p
    found = np.zeros(2)
    at = [
        min(max((p[i] + alignment.aligned_size_px[i] / 2 + 0.5 - local.start_px[i]) / local.spacing_px[i], 0), n - 1)
        for i, n in enumerate(local.areas)
    ]
    for column in range(local.areas[0]):
        for row in range(local.areas[1]):
            share = max(0, 1 - abs(at[0] - column)) * max(0, 1 - abs(at[1] - row))
            k = row * local.areas[0] + column
            t = math.radians(alignment.angle_deg[tilt] + local.tilt_change_deg[k, tilt])
            a = math.radians(alignment.xtilt_deg[tilt] + local.xtilt_change_deg[k, tilt])
            zx, zy = local.z_factor[k, tilt]
            u = x * math.cos(t) + y * math.sin(a) * math.sin(t) + z * (zx - math.cos(a) * math.sin(t))
            v = y * math.cos(a) + z * (math.sin(a) + zy)
            (m11, m12), (m21, m22) = local.transforms[k].matrix[tilt]
            dx, dy = local.transforms[k].shift_px[tilt]
            found += share * np.array([m11 * u + m12 * v + dx, m21 * u + m22 * v + dy])
    return np.linalg.solve(alignment.transforms.matrix[tilt], found - alignment.transforms.shift_px[tilt])


def test_warp_makes_the_same_of_a_transform(tmp_path):
    golden = TiltSeriesXml.read(shared_path("golden", "xf_import", "00254.xml"))
    tilts = golden.tilts
    own = settings(tmp_path)
    before = golden.with_lists(
        {"AxisAngle": np.full(tilts, 5.0), "AxisOffsetX": np.ones(tilts), "AxisOffsetY": np.ones(tilts)}
    ).with_attributes({"ImageDimensionsAngstrom": (3838, 3710)})
    before.write(own.processing_folder / "00254.xml")
    found = import_series("00254", own, shared_path("golden", "xf_import"), 10.0).xml
    np.testing.assert_allclose(found.axis_offset_angstrom, golden.axis_offset_angstrom, atol=3e-4)
    np.testing.assert_allclose(found.axis_angle_deg, golden.axis_angle_deg, atol=2e-6)
    np.testing.assert_array_equal(found.angle_deg, golden.angle_deg)
    np.testing.assert_array_equal(found.use_tilt, golden.use_tilt)
    assert not found.grid("GridMovementX").any()


def test_a_rigid_alignment_needs_no_image_warp(tmp_path):
    own = write_series(tmp_path)
    write_transforms(tmp_path / "S.xf", transforms())
    write_angles(tmp_path / "S.tlt", ANGLES + 0.5)
    series = import_series("S", own, tmp_path, PIXEL)
    assert series.warp.grid_px is None
    np.testing.assert_allclose(series.xml.angle_deg, ANGLES + 0.5)
    points = np.random.default_rng(1).normal(0, 60, (5, 20, 3))
    alignment = ImodAlignment(transforms(), ANGLES + 0.5, np.zeros(5), None, SIZE_PX)
    np.testing.assert_allclose(positions_px(series, points), alignment.raw_position_px(points), atol=1e-5)


def test_an_even_tilt_about_x_becomes_the_level_angle(tmp_path):
    own = write_series(tmp_path)
    write_transforms(tmp_path / "S_st.xf", transforms())
    write_angles(tmp_path / "S.xtilt", np.full(5, 2.5))
    series = import_series("S", own, tmp_path, PIXEL)
    assert series.xml.level_angle_deg == (-2.5, 0)
    points = np.random.default_rng(2).normal(0, 60, (5, 20, 3))
    alignment = ImodAlignment(transforms(), ANGLES, np.full(5, 2.5), None, SIZE_PX)
    np.testing.assert_allclose(positions_px(series, points), alignment.raw_position_px(points), atol=1e-5)


def test_scale_and_skew_become_an_image_warp(tmp_path):
    own = write_series(tmp_path)
    write_transforms(tmp_path / "S.xf", transforms(1.01, 0.004))
    series = import_series("S", own, tmp_path, PIXEL)
    assert series.warp.largest_px > 1
    alignment = ImodAlignment(transforms(1.01, 0.004), ANGLES, np.zeros(5), None, SIZE_PX)
    points = places(alignment, np.random.default_rng(3))
    np.testing.assert_allclose(positions_px(series, points), alignment.raw_position_px(points), atol=1e-4)


def test_imod_is_followed_point_by_point():
    rng = np.random.default_rng(4)
    alignment = ImodAlignment(transforms(1.003), ANGLES, rng.normal(0, 1, 5), local_alignment(rng), SIZE_PX)
    points = rng.normal(0, 120, (5, 12, 3))
    found = alignment.raw_position_px(points)
    expected = [[place_of_tilt(p, alignment, t) for p in points[t]] for t in range(5)]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_local_alignment_of_imod_is_kept_as_image_warp(tmp_path):
    rng = np.random.default_rng(5)
    own = write_series(tmp_path)
    local = local_alignment(rng)
    write_transforms(tmp_path / "S.xf", transforms())
    write_angles(tmp_path / "S.tlt", ANGLES)
    write_local_alignment(tmp_path / "Slocal.xf", local)
    alignment = ImodAlignment(read_transforms(tmp_path / "S.xf"), ANGLES, np.zeros(5), local, SIZE_PX)
    points = places(alignment, rng)
    coarse = import_series("S", own, tmp_path, PIXEL, (3, 2))
    fine = import_series("S", own, tmp_path, PIXEL)
    away = np.linalg.norm(positions_px(fine, points) - alignment.raw_position_px(points), axis=-1)
    assert fine.warp.largest_px > 2
    assert math.sqrt((away**2).mean()) < 0.1
    assert away.max() < 1.5 * fine.warp.largest_residual_px + 0.1
    assert fine.warp.residual_px < coarse.warp.residual_px
    assert coarse.xml.grid("GridMovementX").shape == (5, 2, 3)
    assert fine.warp.depth_residual_px > fine.warp.residual_px  # Z factors and angles act at depth


def smooth_patches(rng, strength: float) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(-150, 150, 5), np.linspace(-110, 110, 4))
    where = np.stack([x, y], -1).reshape(-1, 2) + rng.normal(0, 5, (5, 20, 2))
    shift = strength * np.stack([where[..., 0] * 0.02 + 1, -where[..., 1] * 0.03 + where[..., 0] * 0.01], -1)
    good = np.ones((5, 20, 1))
    good[:, 3] = 0
    shift[:, 3] = 1000  # a bad patch must not count
    return np.concatenate([where, shift, good], -1).round(2)


def aretomo(patches: np.ndarray | None, angles=ANGLES, offset: float = 0.0, dark: tuple[float, ...] = ()):
    header = ["# AreTomo Alignment / Priims bprmMn ", f"# RawSize = 400 300 {len(angles) + len(dark)}"]
    header += [f"# DarkFrame =  {i:4d} {i:4d} {angle:8.2f}" for i, angle in enumerate(dark)]
    header += [f"# AlphaOffset = {offset:8.2f}", "# BetaOffset =     0.00", "# Thickness = 60"]
    count = len(angles)
    shift = np.stack([np.linspace(-9, 4, count), np.linspace(20, -7, count)], -1).round(3)
    axis, ones = np.full(count, 84.5), np.ones(count)
    statistics = np.tile([1.0, 1.0, 1.0, 0.0], (count, 1))
    return AreTomoAlignment(
        tuple(header), np.arange(count), axis, ones, shift, statistics, np.array(angles) + offset, patches
    )


@pytest.mark.parametrize(("strength", "most_px"), [(0.2, 0.1), (1.0, 0.5)])
def test_local_alignment_of_aretomo_is_kept_as_image_warp(tmp_path, strength, most_px):
    rng = np.random.default_rng(6)
    own = write_series(tmp_path)
    found = aretomo(smooth_patches(rng, strength), offset=3.0)
    write_alignment(tmp_path / "S.aln", found)
    series = import_series("S", own, tmp_path, PIXEL)
    np.testing.assert_allclose(series.xml.angle_deg, ANGLES + 3)
    np.testing.assert_allclose(series.xml.axis_angle_deg, 84.5)
    np.testing.assert_allclose(series.xml.axis_offset_angstrom, found.shift_px * PIXEL)
    alignment = AreTomoSeries(found, SIZE_PX)
    points = places(alignment, rng)
    away = np.linalg.norm(positions_px(series, points) - alignment.raw_position_px(points), axis=-1)
    assert series.warp.largest_px > 6 * strength
    assert math.sqrt((away**2).mean()) < 0.1
    assert away.max() < most_px
    assert away.max() < 1.2 * series.warp.largest_residual_px


def test_aretomo_looks_up_raw_images_as_its_transforms_say():
    found = AreTomoSeries(aretomo(None), SIZE_PX)
    points = np.random.default_rng(7).normal(0, 60, (5, 20, 3))
    angle = np.deg2rad(-84.5)  # AreTomo's own .xf: Rz(-ROT), and Rz(-ROT) (-TX, -TY)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    shift = -found.alignment.shift_px @ turn.T
    imod = ImodAlignment(Transforms(np.tile(turn, (5, 1, 1)), shift), ANGLES, np.zeros(5), None, SIZE_PX)
    np.testing.assert_allclose(found.raw_position_px(points), imod.raw_position_px(points), atol=1e-9)
    np.testing.assert_allclose(found.offset_px, imod.offset_px, atol=1e-9)
    np.testing.assert_allclose(found.axis_angle_deg, imod.axis_angle_deg, atol=1e-9)


def test_dark_images_are_switched_off(tmp_path):
    own = write_series(tmp_path)
    rows = aretomo(None, ANGLES[[3, 1, 2, 4]], dark=(-50.0,))  # in another order than the series
    write_alignment(tmp_path / "S.aln", rows)
    xml = import_series("S", own, tmp_path, PIXEL).xml
    assert xml.use_tilt.tolist() == [False, True, True, True, True]
    np.testing.assert_allclose(xml.angle_deg, ANGLES)
    np.testing.assert_allclose(xml.axis_offset_angstrom[[3, 1, 2, 4]], rows.shift_px * PIXEL)
    write_alignment(tmp_path / "S.aln", aretomo(None, -ANGLES))
    with pytest.raises(InputError, match="is it of other tilts"):
        import_series("S", own, tmp_path, PIXEL)


def test_tilts_of_imod_are_left_out(tmp_path):
    own = write_series(tmp_path)
    write_transforms(tmp_path / "S.xf", transforms())
    (tmp_path / "tilt.com").write_text("$tilt -StandardInput\nTHICKNESS 80\nEXCLUDELIST 2,4-5\n")
    series = import_series("S", own, tmp_path, PIXEL)
    assert series.xml.use_tilt.tolist() == [True, False, True, False, False]
    (tmp_path / "tilt.com").unlink()
    four = transforms()
    write_transforms(tmp_path / "S.xf", Transforms(four.matrix[1:], four.shift_px[1:]))
    with pytest.raises(InputError, match="aligns 4 tilts, but the series has 5"):
        import_series("S", own, tmp_path, PIXEL)
    write_angles(tmp_path / "S_cutviews0.rawtlt", np.array([-50.1]))
    series = import_series("S", own, tmp_path, PIXEL)
    assert series.xml.use_tilt.tolist() == [False, True, True, True, True]
    assert series.xml.axis_angle_deg[0] == 0


def test_what_belonged_to_another_alignment_is_reset(tmp_path):
    own = write_series(tmp_path)
    path = own.processing_folder / "S.xml"
    xml = TiltSeriesXml.read(path)
    xml.with_grids({"GridMovementX": np.ones((5, 2, 2)), "GridVolumeWarpZ": np.ones((2, 1, 1, 1))}).write(path)
    write_transforms(tmp_path / "S.xf", transforms())
    series = import_series("S", own, tmp_path, PIXEL)
    assert series.stale == ("GridVolumeWarpZ",)
    assert not series.xml.grid("GridMovementX").any()
    assert not series.xml.volume_grid("GridVolumeWarpZ").any()


def test_transforms_with_three_decimals_are_taken_as_rotations(tmp_path):
    own = write_series(tmp_path)
    exact = transforms()
    write_transforms(tmp_path / "S.xf", replace(exact, matrix=exact.matrix.round(3)))
    assert import_series("S", own, tmp_path, PIXEL).warp.grid_px is None
