"""A project of any origin in the layout of WarpTools, with its images."""

from pathlib import Path

import numpy as np

from mlit.io.mrc import write_mrc
from mlit.io.particles import write_particles
from mlit.io.warp.settings import WarpSettings, write_settings
from mlit.io.warp.tomostar import Tomostar, write_tomostar
from mlit.project.images import load_tilt_images
from mlit.project.project import Project, SeriesInput

SETTINGS = "warp_tiltseries.settings"
_IMAGES = "warp_frameseries"


def write_warp(folder: Path, project: Project) -> None:
    """Write series, images and particles as a project that `load_warp_project` reads.

    Images of tilts that are not used are blank.

    Parameters
    ----------
    folder : Path
        Where to write `warp_tiltseries.settings`, `tomostar/`, `warp_tiltseries/`, `warp_frameseries/average/` and
        `particles.star` (M's columns).
    project : Project
        What was read.
    """
    for series in project.series:
        _write_series(folder, series)
    write_particles(folder / "particles.star", project.particles)
    first, path = project.series[0], folder / SETTINGS
    x, y, z = (float(side) / first.pixel_size_angstrom for side in first.geometry.volume_size_angstrom)
    settings = WarpSettings(
        path=path,
        data_folder=folder / "tomostar",
        processing_folder=folder / "warp_tiltseries",
        extension="*.tomostar",
        pixel_size_angstrom=first.pixel_size_angstrom,
        bin_times=0.0,
        tomogram_size_px=(x, y, z),
        voltage_kv=float(first.optics.voltage_kv),
        cs_mm=float(first.optics.cs_mm),
        amplitude_contrast=float(first.optics.amplitude_contrast),
    )
    write_settings(path, settings)


def _write_series(folder: Path, series: SeriesInput) -> None:
    names = [f"{series.name}_{tilt:03d}" for tilt in range(len(series.use_tilt))]
    movies = tuple(f"../{_IMAGES}/{name}.tif" for name in names)
    for name, image in zip(names, load_tilt_images(series), strict=True):
        write_mrc(folder / _IMAGES / "average" / f"{name}.mrc", image.numpy(), series.pixel_size_angstrom)
    geometry = series.geometry
    sizes = {
        "VolumeDimensionsAngstrom": geometry.volume_size_angstrom.numpy(),
        "ImageDimensionsAngstrom": geometry.image_size_angstrom.numpy(),
    }
    xml = series.xml.with_lists({"MoviePath": movies}).with_attributes({"DataDirectory": "tomostar", **sizes})
    xml.write(folder / "warp_tiltseries" / f"{series.name}.xml")
    axis = np.rad2deg(geometry.axis_angle_rad.numpy())
    tomostar = Tomostar(movies, xml.angle_deg, xml.dose, axis)
    write_tomostar(folder / "tomostar" / f"{series.name}.tomostar", tomostar)
