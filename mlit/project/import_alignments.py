"""Alignments of other programs, put into Warp's XML as WarpTools does, with what WarpTools leaves out."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mlit.errors import InputError
from mlit.io.warp.settings import WarpSettings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.io.warp.tomostar import read_tomostar
from mlit.project.alignment_files import SeriesAlignment, find_alignment
from mlit.project.alignment_warp import AlignmentWarp, fit_warp
from mlit.project.image_files import find_images
from mlit.project.xml_geometry import geometry_from_xml

_FOV_STEPS = 100
_STALE_GRIDS = ("GridAngleX", "GridAngleY", "GridAngleZ", "GridVolumeWarpX", "GridVolumeWarpY", "GridVolumeWarpZ")


@dataclass(frozen=True)
class ImportedSeries:
    """A series with its new alignment.

    Attributes
    ----------
    xml : TiltSeriesXml
        Its metadata.
    source : Path
        The file that the alignment comes from.
    tilts_used : int
        Tilts that count from now on.
    level_x_deg : float
        Pre-tilt that stands for x-axis tilts.
    warp : AlignmentWarp
        The starting image warp and what it leaves over.
    pixel_size_angstrom : float
        Of the stack that was aligned.
    stale : tuple of str
        Grids of an earlier refinement that were reset, as they belonged to another alignment.
    """

    xml: TiltSeriesXml
    source: Path
    tilts_used: int
    level_x_deg: float
    warp: AlignmentWarp
    pixel_size_angstrom: float
    stale: tuple[str, ...]


def import_series(
    name: str,
    settings: WarpSettings,
    folder: Path,
    pixel_size_angstrom: float,
    nodes: tuple[int, int] | None = None,
    min_fov: float = 0.0,
) -> ImportedSeries:
    """Find the alignment of a series and put it into its metadata.

    Parameters
    ----------
    name : str
        The series.
    settings : WarpSettings
        The project's.
    folder : Path
        Where alignments lie.
    pixel_size_angstrom : float
        Of the stack that was aligned.
    nodes : tuple of int, optional
        Of the starting image warp, along x and y; see `fit_warp`.
    min_fov : float
        Tilts that show less of the field than this are switched off.

    Raises
    ------
    InputError
        If files are absent or damaged, or do not fit the series.
    """
    xml = series_metadata(name, settings)
    image_size = xml.image_size_angstrom or _image_size(xml, settings)
    size_px = (image_size[0] / pixel_size_angstrom, image_size[1] / pixel_size_angstrom)
    found = find_alignment(folder, name, xml.angle_deg, xml.use_tilt, size_px)
    depth = settings.tomogram_size_angstrom[2] / pixel_size_angstrom
    warp = fit_warp(found.alignment, size_px, min(found.thickness_px or depth, depth), nodes)
    level = found.alignment.level_x_deg
    xml = _with_alignment(xml, found, pixel_size_angstrom)
    if level:
        xml = xml.with_attributes({"LevelAngleX": level})
    fov = _fov(xml, settings.tomogram_size_angstrom, image_size) * found.use_tilt
    use = found.use_tilt & (fov >= min_fov)
    if not use.any():
        raise InputError(f"{found.path}: no tilt of the series is left; lower import.min_fov or align it again")
    xml = xml.with_lists(
        {"UseTilt": use.tolist(), "FOVFraction": [f"{value:.4f}".rstrip("0").rstrip(".") for value in fov]}
    )
    stale = tuple(name for name in _STALE_GRIDS if _is_set(xml, name))
    xml = _with_warp(xml, warp, found.aligned, pixel_size_angstrom)
    xml = xml.with_grids({name: np.zeros((1,) * (4 if "Volume" in name else 3)) for name in stale})
    return ImportedSeries(xml, found.path, int(use.sum()), level, warp, pixel_size_angstrom, stale)


def series_metadata(name: str, settings: WarpSettings) -> TiltSeriesXml:
    """Return the XML of a series, or a new one made from its `.tomostar`.

    Raises
    ------
    InputError
        If neither is there, or what is there is damaged.
    """
    path = settings.processing_folder / f"{name}.xml"
    if path.is_file():
        return TiltSeriesXml.read(path)
    tomostar = read_tomostar(settings.data_folder / f"{name}.tomostar")
    axis = np.zeros(tomostar.tilts) if tomostar.axis_angle_deg is None else tomostar.axis_angle_deg
    lists = {
        "Angles": tomostar.angle_deg,
        "Dose": tomostar.dose,
        "UseTilt": [True] * tomostar.tilts,
        "AxisAngle": axis,
        "AxisOffsetX": np.zeros(tomostar.tilts),
        "AxisOffsetY": np.zeros(tomostar.tilts),
        "MoviePath": tomostar.movie_names,
    }
    return TiltSeriesXml.new(name, lists, {"DataDirectory": settings.data_folder.as_posix()})


def _with_alignment(xml: TiltSeriesXml, found: SeriesAlignment, pixel: float) -> TiltSeriesXml:
    """Set angles, axis and offsets of the aligned tilts; the others keep theirs."""
    angle, axis, offset = xml.angle_deg, xml.axis_angle_deg, xml.axis_offset_angstrom
    angle[found.aligned] = found.alignment.angle_deg
    axis[found.aligned] = found.alignment.axis_angle_deg
    offset[found.aligned] = found.alignment.offset_px * pixel
    return xml.with_lists(
        {"Angles": angle, "AxisAngle": axis, "AxisOffsetX": offset[:, 0], "AxisOffsetY": offset[:, 1]}
    )


def _with_warp(xml: TiltSeriesXml, warp: AlignmentWarp, aligned: np.ndarray, pixel: float) -> TiltSeriesXml:
    if warp.grid_px is None:
        names = [name for name in ("GridMovementX", "GridMovementY") if _is_set(xml, name)]
        return xml.with_grids({name: np.zeros((1, 1, 1)) for name in names})
    grid = np.zeros((len(aligned), *warp.grid_px.shape[1:]))
    grid[aligned] = warp.grid_px * pixel
    return xml.with_grids({"GridMovementX": grid[..., 0], "GridMovementY": grid[..., 1]})


def _is_set(xml: TiltSeriesXml, name: str) -> bool:
    values = xml.volume_grid(name) if "Volume" in name else xml.grid(name)
    return bool(values.any())


def _image_size(xml: TiltSeriesXml, settings: WarpSettings) -> tuple[float, float]:
    x, y = find_images(xml, settings).size_px
    return x * settings.binned_pixel_size_angstrom, y * settings.binned_pixel_size_angstrom


def _fov(xml: TiltSeriesXml, volume: tuple[float, float, float], image: tuple[float, float]) -> np.ndarray:
    """Share of a grid of points in the middle plane that each tilt shows, as WarpTools counts them."""
    steps = torch.linspace(0, 1, _FOV_STEPS, dtype=torch.float64)
    y, x = torch.meshgrid(steps * volume[1], steps * volume[0], indexing="ij")
    points = torch.stack([x.flatten(), y.flatten(), torch.zeros(x.numel(), dtype=torch.float64)], -1)
    xy = geometry_from_xml(xml, (volume[0], volume[1], 1.0), image).project(points).xy_angstrom
    inside = (xy >= 0) & (xy <= torch.tensor(image, dtype=torch.float64) - 1)
    return inside.all(-1).double().mean(0).numpy()
