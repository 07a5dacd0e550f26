"""Reading the series of a project of RELION 5, one by one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from mlit.errors import InputError
from mlit.io.relion5.names import ProjectFolder
from mlit.io.relion5.particle_file import RelionParticles
from mlit.io.relion5.tilt_series import TiltTable, read_tilt_table
from mlit.io.relion5.tomograms import Tomogram
from mlit.io.relion5.trajectories import motion_of, read_trajectories
from mlit.project.project import RelionSource, SeriesInput
from mlit.project.relion_files import RelionFiles
from mlit.project.relion_geometry import RelionSeries, series_xml, tilt_order
from mlit.project.relion_images import find_relion_images
from mlit.project.xml_geometry import geometry_from_xml
from mlit.project.xml_optics import optics_from_xml
from mlit.project.xml_weights import weights_from_xml

PIXEL_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class RelionLoader:
    """Reads any series of a project, and keeps what it has read of RELION for each.

    Attributes
    ----------
    files : RelionFiles
        Of the project.
    source : RelionParticles
        The particle file.
    tomograms : mapping of str to Tomogram
        By name of the series.
    particle_names : list of str
        One for each row of the particle file.
    paths : mapping of str to array, optional
        Motion of each particle, by its name.
    tilts, orders, motion : dict
        What was read of each series, by its name: the table of tilts, their order in Warp's terms, and the motion of
        its particles in that order; filled in place.
    """

    files: RelionFiles
    source: RelionParticles
    tomograms: Mapping[str, Tomogram]
    particle_names: list[str]
    paths: Mapping[str, np.ndarray] | None
    tilts: dict[str, TiltTable] = field(default_factory=dict)
    orders: dict[str, np.ndarray] = field(default_factory=dict)
    motion: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, files: RelionFiles, source: RelionParticles, tomograms: Mapping[str, Tomogram]) -> "RelionLoader":
        """Read what all series share besides."""
        paths = None if files.trajectories is None else read_trajectories(files.trajectories)
        return cls(files, source, tomograms, source.names(), paths)

    def load(self, name: str, index: np.ndarray) -> SeriesInput:
        """Read a series, given its name and the rows of its particles.

        Raises
        ------
        InputError
            If the series is at fault.
        """
        tomogram, folder = self.tomograms[name], self.files.folder
        star = str(tomogram.text("rlnTomoTiltSeriesStarFile"))
        tilts = self.tilts[name] = read_tilt_table(folder.find(star, self.files.tomograms), name)
        order = self.orders[name] = tilt_order(tilts)
        _check_pixel(self.source, index, tomogram)
        series = _series(tomogram, tilts, order, self.source, index, folder)
        if self.paths is not None and self.files.trajectories is not None:
            named = [self.particle_names[row] for row in index]
            self.motion[name] = motion_of(self.paths, named, tilts.tilts, self.files.trajectories)[:, order]
        return series

    def relion_source(self) -> RelionSource:
        """Return what was read, for writing it back."""
        return RelionSource(self.source, dict(self.tomograms), self.tilts, self.orders, self.files.folder)


def _series(
    tomogram: Tomogram,
    tilts: TiltTable,
    order: np.ndarray,
    source: RelionParticles,
    index: np.ndarray,
    folder: ProjectFolder,
) -> SeriesInput:
    images = find_relion_images(tomogram, tilts, folder)
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
        if abs(pixel / tomogram.pixel_size_angstrom - 1) > PIXEL_TOLERANCE:
            raise InputError(
                f"{source.path}: data_optics: group {row['rlnOpticsGroup']}: rlnTomoTiltSeriesPixelSize is {pixel:g} "
                f"Å, but {tomogram.path.name} gives {tomogram.pixel_size_angstrom:g} Å for {tomogram.name}; "
                "correct the wrong one"
            )
