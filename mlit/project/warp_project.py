"""Reading a project of Warp or WarpTools."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mlit.errors import InputError
from mlit.io.particles import ParticleTable, read_particles
from mlit.io.series_names import series_key
from mlit.io.warp.settings import WarpSettings, read_settings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.bad_tilts import BadTilts, read_bad_tilts
from mlit.project.particle_places import match_series
from mlit.project.project import Project, SeriesInput
from mlit.project.selection import select_series, series_names
from mlit.project.series_loader import load_series, read_series_xml
from mlit.project.usable_series import strangers, usable_series


def load_warp_project(
    settings: Path | str,
    particles: Path | str,
    series_glob: str | Sequence[str] = "*",
    exclude: Sequence[str] = (),
    particle_diameter_angstrom: float | None = None,
    coordinate_pixel_size_angstrom: float | None = None,
    processing: Path | str | None = None,
    bad_tilts: Path | str | None = None,
) -> Project:
    """Read and check a whole project without reading the pixels of its images.

    A fault of one series sets that series aside with the reason; a fault of the settings or the particle
    file ends the reading. Nothing is written.

    Parameters
    ----------
    settings : Path or str
        Tilt-series settings of WarpTools.
    particles : Path or str
        Particle table of RELION, Warp or M.
    series_glob : str or sequence of str
        Shell patterns of the series to use.
    exclude : sequence of str
        Names or patterns of series to leave out.
    particle_diameter_angstrom : float, optional
        How far outside the volume the centre of a particle may lie; see `check_inside`.
    coordinate_pixel_size_angstrom : float, optional
        Å per unit of `rlnCoordinate*`, where the particle file is wrong about it.
    processing : Path or str, optional
        Folder of the tilt-series XML files, where it is not that of the settings: results of an earlier run.
    bad_tilts : Path or str, optional
        Table of tilts to switch off, see `mlit.project.bad_tilts`.

    Raises
    ------
    InputError
        If settings, particle file or table of bad tilts are at fault, the processing folder is absent, no particle
        lies in any series, one half set is empty, or no series is left.
    """
    project_settings = _settings(settings, processing)
    names = series_names(project_settings)
    selected = select_series(names, series_glob, exclude)
    bad = read_bad_tilts(bad_tilts)
    bad.check_series(names)
    xmls, failures = read_xmls(selected, project_settings)
    table = _read_table(Path(particles), project_settings, xmls, coordinate_pixel_size_angstrom)
    table = match_series(table, names, Path(particles))
    return collect_series(
        project_settings.path,
        {name: project_settings for name in selected},
        xmls,
        table,
        failures | strangers(table, names),
        particle_diameter_angstrom,
        Path(particles),
        bad,
    )


def collect_series(
    path: Path,
    settings: Mapping[str, WarpSettings],
    xmls: Mapping[str, TiltSeriesXml],
    table: ParticleTable,
    failures: Mapping[str, str],
    particle_diameter_angstrom: float | None,
    particles: Path,
    bad_tilts: BadTilts,
) -> Project:
    """Put a project together from the metadata of its series.

    Parameters
    ----------
    path : Path
        The file that describes the project.
    settings : mapping of str to WarpSettings
        The selected series, each with the settings that it was made with.
    xmls : mapping of str to TiltSeriesXml
        Their metadata; series without have failed.
    table : ParticleTable
        All particles, with the names of the series.
    failures : mapping of str to str
        Series that cannot be used so far, and why.
    particle_diameter_angstrom : float, optional
        As in `load_warp_project`.
    particles : Path
        The particle file, for messages.
    bad_tilts : BadTilts
        Tilts to switch off.

    Raises
    ------
    InputError
        If no series is left, a half set is empty, or a bad tilt is none.
    """
    used = {name: bad_tilts.applied(name, xml) for name, xml in xmls.items()}

    def load(name: str, index: np.ndarray) -> SeriesInput:
        if name not in xmls:
            raise InputError(failures[name])
        if xmls[name].use_tilt.any() and not used[name].use_tilt.any():
            raise InputError(f"{bad_tilts.path} switches all tilts off")
        return load_series(name, used[name], settings[name], index)

    series, failed = usable_series(path, particles, tuple(settings), table, load, failures, particle_diameter_angstrom)
    return Project(
        settings_path=path,
        series=series,
        particles=table,
        failures=failed,
        pixel_size_angstrom=series[0].pixel_size_angstrom,
        input_paths=(path, particles, *bad_tilts.inputs),
    )


def _settings(path: Path | str, processing: Path | str | None) -> WarpSettings:
    """Read the settings, with another folder of tilt-series XML files if one is given."""
    settings = read_settings(path)
    if processing is None:
        return settings
    if not Path(processing).is_dir():
        raise InputError(f"data.processing={processing}: is not a folder; give that of the tilt-series XML files")
    return replace(settings, processing_folder=Path(processing))


def read_xmls(names: Sequence[str], settings: WarpSettings) -> tuple[dict[str, TiltSeriesXml], dict[str, str]]:
    """Return the XML of every series that has a good one, and why the others have none."""
    xmls: dict[str, TiltSeriesXml] = {}
    failures: dict[str, str] = {}
    for name in names:
        try:
            xmls[name] = read_series_xml(name, settings)
        except InputError as error:
            failures[name] = str(error)
    return xmls, failures


def _read_table(
    path: Path, settings: WarpSettings, xmls: Mapping[str, TiltSeriesXml], coordinate_pixel: float | None
) -> ParticleTable:
    """Read the particles; volume sizes of single series matter for coordinates from the centre."""
    sizes: dict[str, tuple[float, ...]] = {}
    for name, xml in xmls.items():
        try:
            size = xml.volume_size_angstrom
        except InputError:
            continue  # the series itself is refused later, with the reason
        if size is not None:
            sizes[series_key(name)] = size
    pixels = (settings.pixel_size_angstrom, settings.binned_pixel_size_angstrom)
    return read_particles(path, pixels, settings.tomogram_size_angstrom, sizes, coordinate_pixel)
