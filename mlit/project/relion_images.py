"""Where the tilt images of a RELION series lie, and whether they fit the series."""

from dataclasses import dataclass
from pathlib import Path

from mlit.errors import InputError
from mlit.io.mrc import read_mrc_header
from mlit.io.relion5.names import ProjectFolder, split_image_name
from mlit.io.relion5.tilt_series import IMAGE, TiltTable
from mlit.io.relion5.tomograms import Tomogram
from mlit.project.image_headers import check_pixel_size, check_same_size

STACK = "rlnTomoTiltSeriesName"


@dataclass(frozen=True)
class RelionImages:
    """Images of a series, in the order of its file.

    Attributes
    ----------
    names : tuple of str
        As RELION writes them.
    paths : tuple of Path
        Files.
    sections : tuple of int or None
        Section of each in a stack, from 0; None: the file is the image.
    size_px : tuple of int
        x and y.
    """

    names: tuple[str, ...]
    paths: tuple[Path, ...]
    sections: tuple[int | None, ...]
    size_px: tuple[int, int]


def find_relion_images(tomogram: Tomogram, tilts: TiltTable, folder: ProjectFolder) -> RelionImages:
    """Find the images of a series, a stack or a file a tilt, and check their headers.

    Raises
    ------
    InputError
        If an image is not named, absent or damaged, or has another size than the others or another pixel size than the
        tomogram.
    """
    names, where = _names(tomogram, tilts)
    places = []
    for row, name in enumerate(names):
        try:
            section, file = split_image_name(name)
        except ValueError as error:
            raise InputError(f"{where}: row {row + 1}: {error}; correct it") from error
        path = folder.find(file, where)
        if not path.is_file():
            raise InputError(
                f"{path}: image of tilt {row + 1} of {tomogram.name} not found; "
                "copy the images, or give the folder that RELION is started in (data.folder)"
            )
        places.append((path, section))
    size = _common_size(places, tomogram)
    return RelionImages(names, tuple(path for path, _ in places), tuple(section for _, section in places), size)


def _names(tomogram: Tomogram, tilts: TiltTable) -> tuple[tuple[str, ...], Path]:
    """Names of the images, and the file that names them; a stack in tomograms.star comes first, as in RELION."""
    stack = tomogram.text(STACK)
    if stack is not None and stack != "None":
        return tuple(f"{row + 1:06d}@{stack}" for row in range(tilts.tilts)), tomogram.path
    if not tilts.has(IMAGE):
        raise InputError(f"{tilts.path}: has no column {IMAGE}; correct motion in RELION, or name the images")
    return tuple(str(name) for name in tilts.table[IMAGE]), tilts.path


def _common_size(places: list[tuple[Path, int | None]], tomogram: Tomogram) -> tuple[int, int]:
    """Size x, y that all images have."""
    expected = tomogram.pixel_size_angstrom
    stated = f"{tomogram.path.name} gives {expected:g} Å (rlnTomoTiltSeriesPixelSize); correct the wrong one"
    size: tuple[int, int] | None = None
    headers = {path: read_mrc_header(path) for path, _ in dict.fromkeys(places)}
    for path, section in places:
        sections, y, x = headers[path].shape
        size = size or (x, y)
        check_same_size(path, (x, y), size)
        if section is None and sections != 1:
            raise InputError(f"{path}: holds {sections} sections; name each tilt's as 000001@{path.name}")
        if section is not None and section >= sections:
            raise InputError(f"{path}: has {sections} sections, but {section + 1} is named; correct the tilt series")
        check_pixel_size(path, headers[path].pixel_size_angstrom, expected, stated)
    if size is None:
        raise ValueError("no images to compare")
    return size
