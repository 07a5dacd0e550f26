"""What the settings of Warp would say about a series of a data source of M, which has none.

A source holds the unbinned pixel size and no binning, and no folder of the `.tomostar` files. The binning follows from
the headers of the images, the folder from the XML of the series.
"""

import math
from dataclasses import replace
from pathlib import Path

from mlit.errors import InputError
from mlit.io.m.source import MSource
from mlit.io.mrc import read_mrc_header
from mlit.io.warp.settings import WarpSettings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.image_files import candidate_images

_UNSET_PIXEL_ANGSTROM = 1.0  # what programs leave in a header that nobody filled
_SMALLEST_BIN_TIMES = 0.02


def base_settings(source: MSource, processing: Path | None = None) -> WarpSettings:
    """Return what a source says by itself.

    Parameters
    ----------
    source : MSource
        The source.
    processing : Path, optional
        Folder of the XML files, where it is not that of the source.
    """
    return WarpSettings(
        path=source.path,
        data_folder=source.path.parent,
        processing_folder=processing or source.path.parent,
        extension="*.tomostar",
        pixel_size_angstrom=source.pixel_size_angstrom,
        bin_times=0.0,
        tomogram_size_px=source.dimensions_px,
    )


def source_settings(settings: WarpSettings, xml: TiltSeriesXml | None) -> WarpSettings:
    """Return settings of a series with the folder of its `.tomostar` and the binning of its images.

    Parameters
    ----------
    settings : WarpSettings
        Those of the source.
    xml : TiltSeriesXml, optional
        The series; without one the settings stay.
    """
    if xml is None:
        return settings
    settings = replace(settings, data_folder=_data_folder(settings, xml))
    pixel = _image_pixel_size(settings, xml)
    if pixel is None or math.isclose(pixel, _UNSET_PIXEL_ANGSTROM):
        return settings
    bin_times = math.log2(pixel / settings.pixel_size_angstrom)
    return replace(settings, bin_times=bin_times if bin_times > _SMALLEST_BIN_TIMES else 0.0)


def _data_folder(settings: WarpSettings, xml: TiltSeriesXml) -> Path:
    """Folder of the `.tomostar`: as written, else of the same name near the source."""
    try:
        written = Path(xml.data_directory)
    except InputError:
        return settings.data_folder  # the series is refused when it is loaded, with the reason
    near = settings.path.parent
    last = written.name or "tomostar"
    options = (near / written, near.parent / written, near / last, near.parent / last, near.parent / "tomostar", near)
    return next((one for one in options if (one / f"{xml.name}.tomostar").is_file()), near.parent / last)


def _image_pixel_size(settings: WarpSettings, xml: TiltSeriesXml) -> float | None:
    """Pixel size in the header of the first image that is there."""
    try:
        for movie in xml.movie_paths:
            path = next((path for path in candidate_images(movie, xml, settings) if path.is_file()), None)
            if path is not None:
                return read_mrc_header(path).pixel_size_angstrom
    except InputError:
        return None  # told when the series is loaded
    return None
