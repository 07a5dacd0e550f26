"""Geometry of a tilt series from its XML, and back into it."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mlit.errors import InputError
from mlit.geometry.series_geometry import SeriesGeometry
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.tilt_values import check_tilt_nodes, tilt_values

_IMAGE_WARP = ("GridMovementX", "GridMovementY")
_STAGE_ANGLES = ("GridAngleX", "GridAngleY", "GridAngleZ")
_VOLUME_WARP = ("GridVolumeWarpX", "GridVolumeWarpY", "GridVolumeWarpZ")


def geometry_from_xml(
    xml: TiltSeriesXml,
    volume_size_angstrom: Sequence[float],
    image_size_angstrom: Sequence[float],
    size_rounding: Sequence[float] = (1.0, 1.0),
) -> SeriesGeometry:
    """Return the geometry that the file describes.

    Parameters
    ----------
    xml : TiltSeriesXml
        The file.
    volume_size_angstrom, image_size_angstrom : sequence of float
        Sizes x, y(, z), which older files lack.
    size_rounding : sequence of float
        Size of the binned images over the true size, x and y.

    Raises
    ------
    InputError
        If the file contradicts itself; the message names the element.
    """
    level_x, level_y = xml.level_angle_deg
    return SeriesGeometry(
        tilt_angle_rad=_tensor(np.deg2rad(xml.angle_deg)),
        axis_angle_rad=_tensor(np.deg2rad(xml.axis_angle_deg)),
        axis_offset_angstrom=_tensor(xml.axis_offset_angstrom),
        dose=_tensor(xml.dose),
        defocus_um=_tensor(tilt_values(xml, "GridCTF", xml.ctf_number("Defocus", 0.0))),
        volume_size_angstrom=_tensor(volume_size_angstrom),
        image_size_angstrom=_tensor(image_size_angstrom),
        level_angle_x_rad=_tensor(math.radians(level_x)),
        level_angle_y_rad=_tensor(math.radians(level_y)),
        depth_inverted=xml.are_angles_inverted,
        image_warp=_tensor(_tilt_grids(xml, _IMAGE_WARP)),
        stage_angles_rad=_tensor(np.deg2rad(_tilt_grids(xml, _STAGE_ANGLES))),
        volume_warp=_tensor(_stack(xml, _VOLUME_WARP, [xml.volume_grid(name) for name in _VOLUME_WARP])),
        magnification=_tensor(xml.magnification),
        size_rounding=_tensor(size_rounding),
    )


def xml_with_geometry(xml: TiltSeriesXml, geometry: SeriesGeometry) -> TiltSeriesXml:
    """Return a copy of the file that describes `geometry`.

    What is as it was keeps its text to the last digit: only lists, grids and attributes whose values differ
    are written. Dose and sizes are never changed.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    geometry = _detached(geometry)
    before = geometry_from_xml(
        xml,
        geometry.volume_size_angstrom.tolist(),
        geometry.image_size_angstrom.tolist(),
        geometry.size_rounding.tolist(),
    )
    parts = {
        name
        for name, value in vars(geometry).items()
        if isinstance(value, Tensor) and not torch.equal(value, getattr(before, name))
    }
    return (
        xml.with_lists({k: v for part in parts for k, v in _lists(geometry, part).items()})
        .with_attributes({k: v for part in parts for k, v in _attributes(geometry, part).items()})
        .with_grids({k: v for part in parts for k, v in _grids(geometry, part).items()})
    )


def _detached(geometry: SeriesGeometry) -> SeriesGeometry:
    tensors = {name: value for name, value in vars(geometry).items() if isinstance(value, Tensor)}
    return replace(geometry, **{name: value.detach().cpu() for name, value in tensors.items()})


def _lists(geometry: SeriesGeometry, part: str) -> dict[str, np.ndarray]:
    if part == "tilt_angle_rad":
        return {"Angles": np.rad2deg(_array(geometry.tilt_angle_rad))}
    if part == "axis_angle_rad":
        return {"AxisAngle": np.rad2deg(_array(geometry.axis_angle_rad))}
    if part == "axis_offset_angstrom":
        x, y = _array(geometry.axis_offset_angstrom).T
        return {"AxisOffsetX": x, "AxisOffsetY": y}
    return {}


def _attributes(geometry: SeriesGeometry, part: str) -> dict[str, object]:
    if part == "level_angle_x_rad":
        return {"LevelAngleX": math.degrees(float(geometry.level_angle_x_rad))}
    if part == "level_angle_y_rad":
        return {"LevelAngleY": math.degrees(float(geometry.level_angle_y_rad))}
    if part == "magnification":
        return {"MagnificationCorrection": _array(geometry.magnification).T.reshape(-1)}
    return {}


def _grids(geometry: SeriesGeometry, part: str) -> dict[str, np.ndarray]:
    if part == "defocus_um":
        return {"GridCTF": _array(geometry.defocus_um)[:, None, None]}
    if part == "image_warp":
        return dict(zip(_IMAGE_WARP, np.moveaxis(_array(geometry.image_warp), -1, 0), strict=True))
    if part == "stage_angles_rad":
        degrees = np.rad2deg(_array(geometry.stage_angles_rad))
        return dict(zip(_STAGE_ANGLES, np.moveaxis(degrees, -1, 0), strict=True))
    if part == "volume_warp":
        return dict(zip(_VOLUME_WARP, np.moveaxis(_array(geometry.volume_warp), -1, 0), strict=True))
    return {}


def _tilt_grids(xml: TiltSeriesXml, names: tuple[str, ...]) -> np.ndarray:
    """Components of a grid over tilts, [t, y, x, component]."""
    grids = [xml.grid(name) for name in names]
    for name, grid in zip(names, grids, strict=True):
        check_tilt_nodes(xml, name, grid.shape[0])
    return _stack(xml, names, grids)


def _stack(xml: TiltSeriesXml, names: tuple[str, ...], grids: list[np.ndarray]) -> np.ndarray:
    """Put components last; one that is a single node is constant and takes the size of the others."""
    largest = max(grids, key=lambda grid: grid.size).shape
    for name, grid in zip(names, grids, strict=True):
        if grid.size > 1 and grid.shape != largest:
            raise InputError(f"{xml.path}: {name} has another size than its sister grids; restore the file")
    return np.stack([np.broadcast_to(grid, largest) for grid in grids], axis=-1)


def _tensor(values: object) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float64))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.numpy()
