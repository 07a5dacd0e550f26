"""One tilt series: its files, checked against each other."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mlit.errors import InputError
from mlit.io.warp.settings import WarpSettings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.io.warp.tomostar import read_tomostar
from mlit.project.image_files import TiltImages, find_images
from mlit.project.project import SeriesInput
from mlit.project.xml_geometry import geometry_from_xml
from mlit.project.xml_optics import optics_from_xml
from mlit.project.xml_weights import weights_from_xml


@dataclass(frozen=True)
class SeriesSizes:
    """Sizes of a series in Å, each x first.

    Attributes
    ----------
    volume, image : tuple of float
        True sizes.
    rounding : tuple of float
        Size of the binned images, whose pixels are whole and even in number, over the true size.
    """

    volume: tuple[float, float, float]
    image: tuple[float, float]
    rounding: tuple[float, float]


def read_series_xml(name: str, settings: WarpSettings) -> TiltSeriesXml:
    """Read the XML of a series.

    Raises
    ------
    InputError
        If it is absent, damaged, or a person deselected the series.
    """
    xml = TiltSeriesXml.read(settings.processing_folder / f"{name}.xml")
    if xml.is_deselected:
        raise InputError(f"{xml.path}: is deselected (UnselectManual is True); select it in Warp to use it")
    return xml


def load_series(name: str, xml: TiltSeriesXml, settings: WarpSettings, particle_index: np.ndarray) -> SeriesInput:
    """Put a series together from its files.

    Parameters
    ----------
    name : str
        Name of the series.
    xml : TiltSeriesXml
        Its metadata.
    settings : WarpSettings
        The project's.
    particle_index : ndarray of int64
        Rows of its particles in the project's table.

    Raises
    ------
    InputError
        If a file is absent or damaged, or files contradict each other.
    """
    _check_tomostar(settings.data_folder / f"{name}.tomostar", xml)
    images = find_images(xml, settings)
    sizes = series_sizes(xml, settings, images)
    if not xml.has_grid("GridCTF") and xml.ctf_number("Defocus", 0.0) == 0.0:
        raise InputError(f"{xml.path}: has no defocus (GridCTF or CTF/Defocus); estimate the CTF in Warp")
    return SeriesInput(
        name=name,
        xml=xml,
        geometry=geometry_from_xml(xml, sizes.volume, sizes.image, sizes.rounding),
        optics=optics_from_xml(xml, settings),
        image_paths=images.paths,
        image_size_px=images.size_px,
        pixel_size_angstrom=settings.binned_pixel_size_angstrom,
        use_tilt=torch.from_numpy(xml.use_tilt),
        particle_index=torch.from_numpy(particle_index.astype(np.int64)),
        weights=weights_from_xml(xml),
    )


def series_sizes(xml: TiltSeriesXml, settings: WarpSettings, images: TiltImages) -> SeriesSizes:
    """Return the sizes that the XML gives, else those of the settings and the images.

    Raises
    ------
    InputError
        If the images are more than two pixels smaller or larger than the XML says.
    """
    pixel = settings.binned_pixel_size_angstrom
    binned = (images.size_px[0] * pixel, images.size_px[1] * pixel)
    true = xml.image_size_angstrom or binned
    for axis, have, want in zip("xy", binned, true, strict=True):
        if abs(have - want) > 2 * pixel:
            raise InputError(
                f"{xml.path}: ImageDimensionsAngstrom is {want:g} along {axis}, but the images have "
                f"{have:g} Å ({have / pixel:.0f} px of {pixel:g} Å); correct PixelSize or BinTimes"
            )
    return SeriesSizes(
        volume=xml.volume_size_angstrom or settings.tomogram_size_angstrom,
        image=true,
        rounding=(binned[0] / true[0], binned[1] / true[1]),
    )


def _check_tomostar(path: Path, xml: TiltSeriesXml) -> None:
    """Compare the movies of the `.tomostar` with those of the XML."""
    tomostar = read_tomostar(path)
    if tomostar.tilts != xml.tilts:
        raise InputError(
            f"{path}: lists {tomostar.tilts} tilts, but {xml.path.name} has {xml.tilts}; "
            "import or align the series again"
        )
    for tilt, (here, there) in enumerate(zip(tomostar.movie_names, xml.movie_paths, strict=True), start=1):
        if Path(here.replace("\\", "/")).name != Path(there).name:
            raise InputError(
                f"{path}: tilt {tilt} is {Path(here).name}, but {xml.path.name} has {Path(there).name}; "
                "import or align the series again"
            )
