"""Where the averaged tilt images of a series lie, and whether they fit the series.

WarpTools writes the average of `FOLDER/NAME.tif` to `FOLDER/average/NAME.mrc`. Movie paths are relative to
the folder of the `.tomostar`; projects get moved and copied in part, so other folders of the project are
tried as well.
"""

from dataclasses import dataclass
from pathlib import Path

from mlit.errors import InputError
from mlit.io.mrc import read_mrc_header
from mlit.io.warp.settings import WarpSettings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.image_headers import check_pixel_size, check_same_size


@dataclass(frozen=True)
class TiltImages:
    """Image files of a series.

    Attributes
    ----------
    paths : tuple of Path
        One a tilt, in file order.
    size_px : tuple of int
        x and y, the same for all tilts in use.
    """

    paths: tuple[Path, ...]
    size_px: tuple[int, int]


def find_images(xml: TiltSeriesXml, settings: WarpSettings) -> TiltImages:
    """Find the images of a series and check their headers.

    Raises
    ------
    InputError
        If an image of a tilt in use is absent, damaged, of another size than the first, or its header gives
        another pixel size than the settings; or if no tilt is in use.
    """
    use_tilt = xml.use_tilt
    if not use_tilt.any():
        raise InputError(f"{xml.path}: UseTilt switches all tilts off; switch some on or exclude the series")
    candidates = [candidate_images(movie, xml, settings) for movie in xml.movie_paths]
    found = [next((path for path in paths if path.is_file()), None) for paths in candidates]
    missing = [i for i, path in enumerate(found) if path is None and use_tilt[i]]
    if missing:
        more = f" (nor {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise InputError(
            f"{candidates[missing[0]][0]}: image of tilt {missing[0] + 1} not found{more}; "
            f"average the movies in WarpTools or correct MoviePath in {xml.path.name}"
        )
    paths = tuple(path or options[0] for path, options in zip(found, candidates, strict=True))
    used = [path for path, use in zip(paths, use_tilt, strict=True) if use]
    return TiltImages(paths, _common_size(used, settings))


def candidate_images(movie: str, xml: TiltSeriesXml, settings: WarpSettings) -> list[Path]:
    """Return the places where the average of a movie may lie, the most likely first."""
    root = settings.path.parent
    written = Path(movie)
    bases = [settings.data_folder, root / xml.data_directory, settings.processing_folder, root]
    movies = [base / written for base in bases] + [root / written.parent.name / written.name]
    images = [path.parent / "average" / f"{path.stem}.mrc" for path in movies]
    return list(dict.fromkeys(images))


def _common_size(paths: list[Path], settings: WarpSettings) -> tuple[int, int]:
    """Size x, y that all images have."""
    expected = settings.binned_pixel_size_angstrom
    stated = f"the settings give {expected:g} Å (PixelSize·2^BinTimes); correct the settings"
    size: tuple[int, int] | None = None
    for path in paths:
        header = read_mrc_header(path)
        sections, y, x = header.shape
        if sections != 1:
            raise InputError(f"{path}: holds {sections} sections, but one averaged image is expected")
        size = size or (x, y)
        check_same_size(path, (x, y), size)
        check_pixel_size(path, header.pixel_size_angstrom, expected, stated)
    if size is None:
        raise ValueError("no images to compare")
    return size
