"""Geometry and optics of a RELION 5 tilt series in Warp's terms.

RELION projects a point c of the tomogram, from its centre, to ``Rz(ZRot) Ry(YTilt) Rx(XTilt) c + shift``. Warp's axis
angle is ZRot, its tilt angle -YTilt, its level angle about x XTilt, which is one for the series: what tilts differ in
it is carried by stage angles (orientations) and a volume warp (positions), both exactly. RELION counts centres as whole
pixels, Warp as half the size: in odd sizes they differ by half a pixel, which goes into the shifts.
"""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mlit.errors import InputError
from mlit.geometry.linear_grid import linear_weights
from mlit.geometry.rotations import rotation_x, rotation_y, rotation_z, zyx_from_matrix
from mlit.geometry.trajectory import normalised_dose
from mlit.io.numbers import format_number
from mlit.io.relion5.particle_file import EVEN, ODD, RelionParticles
from mlit.io.relion5.tilt_series import ANGLES, DEFOCI, EXPOSURE, SHIFTS, TiltTable
from mlit.io.relion5.tomograms import SLOPE, Tomogram
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.optics.zernike import EVEN_INDICES, ODD_INDICES
from mlit.project.relion_deformation import image_warp_grid
from mlit.project.relion_weights import relion_weights
from mlit.project.xml_weights import xml_with_weights

LOG = logging.getLogger("mlit")
_SAME_ANGLE_DEG = 1e-6
_SAME_SLOPE = 1e-3
_LARGEST_DOSE_GRID = 4  # nodes for each tilt
_EXACT = 1e-9


@dataclass(frozen=True)
class RelionSeries:
    """What RELION says about one series.

    Attributes
    ----------
    tomogram, tilts
        Its row in tomograms.star, and its tilt-series file.
    particles, rows
        The particle file, and the rows of the particles of the series.
    image_size_px
        x and y of the tilt images.
    images
        Names of the tilt images, as written.
    order
        Row of the file of each tilt, such that Warp's tilt angles ascend.
    """

    tomogram: Tomogram
    tilts: TiltTable
    particles: RelionParticles
    rows: np.ndarray
    image_size_px: tuple[int, int]
    images: tuple[str, ...]
    order: np.ndarray


def tilt_order(tilts: TiltTable) -> np.ndarray:
    """Rows of the file in the order of Warp's tilt angles."""
    return np.argsort(-tilts.numbers(ANGLES[1]), kind="stable")


def series_xml(series: RelionSeries) -> TiltSeriesXml:
    """Return Warp's metadata of a series.

    Raises
    ------
    InputError
        If a value is missing or impossible.
    """
    tomogram, tilts, order = series.tomogram, series.tilts, series.order
    pixel = tomogram.pixel_size_angstrom
    angles_deg = (
        tilts.columns(ANGLES[:1], 0.0)[order, 0],
        tilts.numbers(ANGLES[1])[order],
        tilts.numbers(ANGLES[2])[order],
    )
    level_deg = float(angles_deg[0].mean())
    volume = tomogram.size_px * pixel
    dose = tilts.numbers(EXPOSURE)[order]
    turn, levelled = _rotations(*angles_deg), _rotations(np.full_like(dose, level_deg), *angles_deg[1:])
    grids = _optics_grids(series)
    if np.ptp(angles_deg[0]) > _SAME_ANGLE_DEG:
        grids |= _tilt_of_each(turn, levelled, volume, torch.from_numpy(dose), tomogram.name)
    grids |= _movement_grids(series)
    offset = tilts.columns(SHIFTS)[order] + _half_pixels(series, turn) * pixel
    lists = {
        "Angles": -angles_deg[1],
        "Dose": dose,
        "UseTilt": tilts.numbers("rlnCtfScalefactor", 1.0)[order] > 0,
        "AxisAngle": angles_deg[2],
        "AxisOffsetX": offset[:, 0],
        "AxisOffsetY": offset[:, 1],
        "MoviePath": [series.images[row] for row in order],
        "FOVFraction": np.ones(len(order)),
    }
    attributes = {
        "AreAnglesInverted": _depth_inverted(tomogram),
        "LevelAngleX": level_deg,
        "VolumeDimensionsAngstrom": volume,
        "ImageDimensionsAngstrom": np.array(series.image_size_px) * pixel,
    }
    xml = TiltSeriesXml.new(tomogram.name, lists, attributes, _ctf(series, grids)).with_grids(grids)
    weights = relion_weights(tomogram, tilts, order)
    return xml if weights is None else xml_with_weights(xml, weights)


def _rotations(x_deg: np.ndarray, y_deg: np.ndarray, z_deg: np.ndarray) -> Tensor:
    """``Rz Ry Rx`` of every tilt, "tilt 3 3"."""
    x, y, z = (torch.from_numpy(np.deg2rad(angle)) for angle in (x_deg, y_deg, z_deg))
    return rotation_z(z) @ rotation_y(y) @ rotation_x(x)


def _half_pixels(series: RelionSeries, turn: Tensor) -> np.ndarray:
    """Return what the centres of RELION and Warp differ by in the images, in pixels, "tilt 2"."""
    odd_volume = torch.from_numpy(series.tomogram.size_px % 2) / 2
    odd_image = np.array(series.image_size_px) % 2 / 2
    if bool(odd_volume.any()):
        LOG.warning(
            "%s: the tomogram has an odd size; programs of RELION disagree about its centre by half a pixel",
            series.tomogram.name,
        )
    return (turn @ odd_volume).numpy()[:, :2] - odd_image


def _depth_inverted(tomogram: Tomogram) -> bool:
    hand, slope = tomogram.number_of("rlnTomoHand"), tomogram.number_of(SLOPE, 1.0)
    if hand * slope == 0:
        raise InputError(f"{tomogram.path}: {tomogram.name}: rlnTomoHand times {SLOPE} is 0; correct them")
    if abs(abs(hand * slope) - 1) > _SAME_SLOPE:
        LOG.warning(
            "%s: %s is %g; defocus follows depth one to one here, so it differs by %.0f Å at 1000 Å from the centre",
            tomogram.name,
            SLOPE,
            slope,
            1000 * abs(abs(hand * slope) - 1),
        )
    return hand * slope < 0


def _tilt_of_each(turn: Tensor, levelled: Tensor, volume: np.ndarray, dose: Tensor, name: str) -> dict[str, np.ndarray]:
    """Grids that turn tilts with one common level angle into those that the file describes."""
    stage = torch.rad2deg(zyx_from_matrix(turn @ levelled.transpose(-1, -2))).numpy()
    field = levelled.transpose(-1, -2) @ turn - torch.eye(3, dtype=torch.float64)
    nodes, residual = _over_dose(field.flatten(1), normalised_dose(dose))
    if residual > _EXACT:
        half = float(np.linalg.norm(volume / 2))
        LOG.warning("%s: x tilts that vary between tilts of uneven exposure are kept to %.3f Å", name, residual * half)
    corner = torch.cartesian_prod(*(torch.tensor([-0.5, 0.5], dtype=torch.float64),) * 3).flip(-1)
    shift = torch.einsum("dij,nj->dni", nodes.unflatten(1, (3, 3)), corner * torch.from_numpy(volume))
    shift = shift.reshape(-1, 2, 2, 2, 3).numpy()
    return {
        **{f"GridAngle{axis}": stage[:, i, None, None] for i, axis in enumerate("XYZ")},
        **{f"GridVolumeWarp{axis}": shift[..., i] for i, axis in enumerate("XYZ")},
    }


def _over_dose(values: Tensor, time: Tensor) -> tuple[Tensor, float]:
    """Nodes over dose whose linear interpolation gives the values of the tilts, and the greatest difference left."""
    tilts = len(values)
    for count in (tilts, *(tilts * k for k in range(2, _LARGEST_DOSE_GRID + 1))):
        weights = linear_weights(count, time)
        nodes = torch.linalg.lstsq(weights, values, driver="gelsd").solution
        residual = float((weights @ nodes - values).abs().max())
        if residual < _EXACT:
            break
    return nodes, residual


def _movement_grids(series: RelionSeries) -> dict[str, np.ndarray]:
    """Grids of the image warp in Å; none where RELION has found no deformation."""
    pixel = series.tomogram.pixel_size_angstrom
    warp, residual = image_warp_grid(series.tomogram, series.tilts, series.image_size_px)
    if warp is None:
        return {}
    LOG.info(
        "%s: the deformation of RELION is now an image warp of %d × %d nodes, to %.3f Å rms",
        series.tomogram.name,
        *warp.shape[2:0:-1],
        residual * pixel,
    )
    return {f"GridMovement{axis}": warp[series.order][..., i] * pixel for i, axis in enumerate("XY")}


def _optics_grids(series: RelionSeries) -> dict[str, np.ndarray]:
    tilts, order = series.tilts, series.order
    first, second = tilts.columns(DEFOCI)[order].T * 1e-4
    phase = tilts.numbers("rlnPhaseShift", 0.0)[order] / 180 - _zernike(series, EVEN)[0] / np.pi
    grids = {
        "GridCTF": (first + second) / 2,
        "GridCTFDefocusDelta": first - second,
        "GridCTFDefocusAngle": tilts.numbers("rlnDefocusAngle")[order],
        "GridCTFPhase": phase,
    }
    return {name: values[:, None, None] for name, values in grids.items()}


def _ctf(series: RelionSeries, grids: dict[str, np.ndarray]) -> dict[str, object]:
    tomogram = series.tomogram
    return {
        "PixelSize": tomogram.pixel_size_angstrom,
        "Cs": tomogram.number_of("rlnSphericalAberration"),
        "Cc": 2.7,
        "Voltage": tomogram.number_of("rlnVoltage"),
        "Defocus": float(grids["GridCTF"].mean()),
        "Amplitude": tomogram.number_of("rlnAmplitudeContrast"),
        "ZernikeCoeffsEven": ";".join(format_number(value) for value in _zernike(series, EVEN)[1:]),
        "ZernikeCoeffsOdd": ";".join(format_number(-value + 0.0) for value in _zernike(series, ODD)),
    }


def _zernike(series: RelionSeries, column: str) -> np.ndarray:
    """Coefficients of the optics group of the series: even ones with a constant before the rest.

    Raises
    ------
    InputError
        If there are more than are known.
    """
    count = 1 + len(EVEN_INDICES) if column == EVEN else len(ODD_INDICES)
    groups = series.particles.optics_rows(series.rows)
    values = series.particles.zernike(groups[0], column) if groups else np.zeros(0)
    if values[count:].any():
        raise InputError(
            f"{series.particles.path}: data_optics: {column} has coefficients beyond the {count} that are known; "
            "set them to 0"
        )
    return np.concatenate([values[:count], np.zeros(max(0, count - len(values)))])
