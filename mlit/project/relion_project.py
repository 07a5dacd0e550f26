"""Reading a project of RELION 5."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mlit.errors import InputError
from mlit.io.particle_table import ParticleTable
from mlit.io.particles import particles_from_blocks
from mlit.io.relion5 import optimisation_set as opt
from mlit.io.relion5.names import ProjectFolder, find_project_folder
from mlit.io.relion5.particle_file import RelionParticles
from mlit.io.relion5.tilt_series import TiltTable, read_tilt_table
from mlit.io.relion5.tomograms import Tomogram, read_tomograms
from mlit.io.relion5.trajectories import motion_of, read_trajectories
from mlit.io.relion_particles import RelionScale
from mlit.io.series_names import series_key
from mlit.project.bad_tilts import read_bad_tilts, without_bad_tilts
from mlit.project.particle_places import match_series
from mlit.project.project import Project, RelionSource, SeriesInput
from mlit.project.relion_geometry import RelionSeries, series_xml, tilt_order
from mlit.project.relion_images import find_relion_images
from mlit.project.relion_motion import with_motion
from mlit.project.selection import select_series
from mlit.project.usable_series import strangers, usable_series
from mlit.project.xml_geometry import geometry_from_xml
from mlit.project.xml_optics import optics_from_xml
from mlit.project.xml_weights import weights_from_xml

LOG = logging.getLogger("mlit")
_PIXEL_TOLERANCE = 1e-3


@dataclass(frozen=True)
class RelionFiles:
    """Files of a project.

    Attributes
    ----------
    listed_in : Path
        The file that a person gave: optimisation set, or tomograms.
    folder : ProjectFolder
        Where the names in them lead.
    tomograms, particles : Path
        Compulsory.
    trajectories, mask : Path or None
        Optional.
    half_maps : tuple of Path or None
        References.
    """

    listed_in: Path
    folder: ProjectFolder
    tomograms: Path
    particles: Path
    trajectories: Path | None = None
    half_maps: tuple[Path, Path] | None = None
    mask: Path | None = None

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Those that say what the project is."""
        files = (self.listed_in, self.tomograms, self.particles, self.trajectories)
        return tuple(dict.fromkeys(path for path in files if path is not None))


def find_files(
    optimisation_set: Path | str | None = None,
    tomograms: Path | str | None = None,
    particles: Path | str | None = None,
    trajectories: Path | str | None = None,
    folder: Path | str | None = None,
) -> RelionFiles:
    """Find the files of a project; those that are given come before those of the optimisation set.

    Raises
    ------
    InputError
        If tomograms or particles are missing.
    """
    given = None if folder is None else Path(folder)
    if optimisation_set is None:
        if tomograms is None or particles is None:
            raise InputError("give a value for data.optimisation_set=…, or for data.tomograms=… and data.particles=…")
        first = next(iter(read_tomograms(tomograms)))
        found = find_project_folder(Path(tomograms), str(first.text("rlnTomoTiltSeriesStarFile")), given)
        other = None if trajectories is None else Path(trajectories)
        return RelionFiles(Path(tomograms), found, Path(tomograms), Path(particles), other)
    chosen = opt.read_optimisation_set(optimisation_set)
    found = find_project_folder(
        chosen.path, chosen.files.get(opt.TOMOGRAMS, chosen.files.get(opt.PARTICLES, "")), given
    )

    def locate(label: str, own: Path | str | None = None) -> Path | None:
        name = chosen.get(label)
        return Path(own) if own is not None else None if name is None else found.find(name, chosen.path)

    maps = [locate(label) for label in opt.HALF_MAPS]
    return RelionFiles(
        listed_in=chosen.path,
        folder=found,
        tomograms=locate(opt.TOMOGRAMS, tomograms) or Path(chosen[opt.TOMOGRAMS]),
        particles=locate(opt.PARTICLES, particles) or Path(chosen[opt.PARTICLES]),
        trajectories=locate(opt.TRAJECTORIES, trajectories),
        half_maps=None if maps[0] is None or maps[1] is None else (maps[0], maps[1]),
        mask=locate(opt.MASK),
    )


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
    tilts: dict[str, TiltTable] = {}
    orders: dict[str, np.ndarray] = {}
    paths = None if files.trajectories is None else read_trajectories(files.trajectories)
    particle_names, motion = source.names(), {}

    def load(name: str, index: np.ndarray) -> SeriesInput:
        star = str(tomograms[name].text("rlnTomoTiltSeriesStarFile"))
        tilts[name] = read_tilt_table(files.folder.find(star, files.tomograms), name)
        orders[name] = tilt_order(tilts[name])
        _check_pixel(source, index, tomograms[name])
        series = _load(tomograms[name], tilts[name], source, index, files.folder)
        if paths is not None and files.trajectories is not None:
            named = [particle_names[row] for row in index]
            moved = motion_of(paths, named, tilts[name].tilts, files.trajectories)
            motion[name] = moved[:, orders[name]]
        return series

    series, failures = usable_series(
        files.tomograms, files.particles, selected, table, load, strangers(table, names), particle_diameter_angstrom
    )
    series, failures = without_bad_tilts(series, failures, bad)
    pixel = _one_pixel(series, files.tomograms)
    return Project(
        settings_path=files.listed_in,
        series=series,
        particles=with_motion(table, series, motion) if motion else table,
        failures=failures,
        pixel_size_angstrom=pixel,
        input_paths=(*files.inputs, *bad.inputs),
        half_maps=files.half_maps if references else None,
        mask=files.mask if references else None,
        relion=RelionSource(source, tomograms, tilts, orders, files.folder),
    )


def _read_table(
    source: RelionParticles, tomograms: dict[str, Tomogram], coordinate_pixel: float | None
) -> ParticleTable:
    """Read the particles; coordinates count from the centre or the corner of their tomogram."""
    sizes = {}
    for name, tomogram in tomograms.items():
        x, y, z = (tomogram.size_px * tomogram.pixel_size_angstrom).tolist()
        sizes[series_key(name)] = (x, y, z)
    scale = RelionScale((), coordinate_pixel, None, sizes)
    return particles_from_blocks(source.blocks, source.path, scale)


def _load(
    tomogram: Tomogram, tilts: TiltTable, source: RelionParticles, index: np.ndarray, folder: ProjectFolder
) -> SeriesInput:
    images = find_relion_images(tomogram, tilts, folder)
    order = tilt_order(tilts)
    xml = series_xml(RelionSeries(tomogram, tilts, source, index, images.size_px, images.names, order))
    volume, image = xml.volume_size_angstrom, xml.image_size_angstrom
    assert volume is not None
    assert image is not None
    sections = tuple(images.sections[row] for row in order)
    return SeriesInput(
        name=tomogram.name,
        xml=xml,
        geometry=geometry_from_xml(xml, volume, image),
        optics=optics_from_xml(xml),
        image_paths=tuple(images.paths[row] for row in order),
        image_size_px=images.size_px,
        pixel_size_angstrom=tomogram.pixel_size_angstrom,
        use_tilt=torch.from_numpy(xml.use_tilt),
        particle_index=torch.from_numpy(index.astype(np.int64)),
        weights=weights_from_xml(xml),
        image_sections=None if all(section is None for section in sections) else sections,
    )


def _check_pixel(source: RelionParticles, index: np.ndarray, tomogram: Tomogram) -> None:
    """Compare the pixel of the optics groups of a series with that of its tomogram."""
    for row in source.optics_rows(index):
        if "rlnTomoTiltSeriesPixelSize" not in row.index:
            continue
        pixel = source.number_of(row, "rlnTomoTiltSeriesPixelSize")
        if abs(pixel / tomogram.pixel_size_angstrom - 1) > _PIXEL_TOLERANCE:
            raise InputError(
                f"{source.path}: data_optics: group {row['rlnOpticsGroup']}: rlnTomoTiltSeriesPixelSize is {pixel:g} "
                f"Å, but {tomogram.path.name} gives {tomogram.pixel_size_angstrom:g} Å for {tomogram.name}; "
                "correct the wrong one"
            )


def _one_pixel(series: Sequence[SeriesInput], path: Path) -> float:
    """Pixel size of all series.

    Raises
    ------
    InputError
        If they differ.
    """
    pixel = series[0].pixel_size_angstrom
    for one in series:
        if abs(one.pixel_size_angstrom / pixel - 1) > _PIXEL_TOLERANCE:
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
