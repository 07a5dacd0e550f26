"""Reading a project of RELION 5."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlit.errors import InputError
from mlit.io.particle_table import ParticleTable
from mlit.io.particles import particles_from_blocks
from mlit.io.relion5.particle_file import RelionParticles
from mlit.io.relion5.tomograms import Tomogram, read_tomograms
from mlit.io.relion_particles import RelionScale
from mlit.io.series_names import series_key
from mlit.project.bad_tilts import read_bad_tilts, without_bad_tilts
from mlit.project.particle_places import match_series
from mlit.project.project import Project, SeriesInput
from mlit.project.relion_files import RelionFiles
from mlit.project.relion_loader import PIXEL_TOLERANCE, RelionLoader
from mlit.project.relion_motion import with_motion
from mlit.project.selection import select_series
from mlit.project.usable_series import strangers, usable_series

LOG = logging.getLogger("mlit")


def load_relion_project(
    files: RelionFiles,
    series_glob: str | Sequence[str] = "*",
    exclude: Sequence[str] = (),
    particle_diameter_angstrom: float | None = None,
    coordinate_pixel_size_angstrom: float | None = None,
    references: bool = True,
    bad_tilts: Path | str | None = None,
) -> Project:
    """Read and check a whole project without reading the pixels of its images.

    Each series becomes one in Warp's terms, so that all that follows, and what is written, is as for Warp. A fault of
    one series sets that series aside with the reason; a fault of a file that they share ends the reading.

    Parameters
    ----------
    files : RelionFiles
        See `find_files`.
    series_glob, exclude, particle_diameter_angstrom, coordinate_pixel_size_angstrom, bad_tilts
        As in `load_warp_project`.
    references : bool
        Whether to offer the half maps and the mask that the optimisation set names.

    Raises
    ------
    InputError
        If a file that all series share is at fault, no particle lies in any series, one half set is empty, or no series
        is left.
    """
    tomograms = {tomogram.name: tomogram for tomogram in read_tomograms(files.tomograms)}
    names = tuple(sorted(tomograms))
    selected = select_series(names, series_glob, exclude)
    bad = read_bad_tilts(bad_tilts)
    bad.check_series(names)
    source = RelionParticles.read(files.particles)
    _warn_of_magnification(source)
    table = _read_table(source, tomograms, coordinate_pixel_size_angstrom)
    table = match_series(table, names, files.particles)
    loader = RelionLoader.of(files, source, tomograms)
    series, failures = usable_series(
        files.tomograms,
        files.particles,
        selected,
        table,
        loader.load,
        strangers(table, names),
        particle_diameter_angstrom,
    )
    series, failures = without_bad_tilts(series, failures, bad)
    pixel = _one_pixel(series, files.tomograms)
    return Project(
        settings_path=files.listed_in,
        series=series,
        particles=with_motion(table, series, loader.motion) if loader.motion else table,
        failures=failures,
        pixel_size_angstrom=pixel,
        input_paths=(*files.inputs, *bad.inputs),
        half_maps=files.half_maps if references else None,
        mask=files.mask if references else None,
        relion=loader.relion_source(),
    )


def _read_table(
    source: RelionParticles, tomograms: Mapping[str, Tomogram], coordinate_pixel: float | None
) -> ParticleTable:
    """Read the particles; coordinates count from the centre or the corner of their tomogram."""
    sizes = {}
    for name, tomogram in tomograms.items():
        x, y, z = (tomogram.size_px * tomogram.pixel_size_angstrom).tolist()
        sizes[series_key(name)] = (x, y, z)
    scale = RelionScale((), coordinate_pixel, None, sizes)
    return particles_from_blocks(source.blocks, source.path, scale)


def _one_pixel(series: Sequence[SeriesInput], path: Path) -> float:
    """Pixel size of all series.

    Raises
    ------
    InputError
        If they differ.
    """
    pixel = series[0].pixel_size_angstrom
    for one in series:
        if abs(one.pixel_size_angstrom / pixel - 1) > PIXEL_TOLERANCE:
            raise InputError(
                f"{path}: {one.name} has pixels of {one.pixel_size_angstrom:g} Å and {series[0].name} of {pixel:g} Å; "
                "use series of one pixel size (data.series)"
            )
    return pixel


def _warn_of_magnification(source: RelionParticles) -> None:
    if source.optics is not None:
        groups = [row for _, row in source.optics.iterrows() if source.has_magnification(row)]
        if groups:
            LOG.warning("%s: rlnMagMat of %d optics groups is not used", source.path, len(groups))
