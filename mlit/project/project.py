"""What a project is once it is read: tilt series with geometry and optics, and the particles in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int
from torch import Tensor

from mlit.geometry.series_geometry import SeriesGeometry
from mlit.io.particle_table import ParticleTable
from mlit.io.relion5.names import ProjectFolder
from mlit.io.relion5.particle_file import RelionParticles
from mlit.io.relion5.tilt_series import TiltTable
from mlit.io.relion5.tomograms import Tomogram
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.likelihood.signal_weights import SignalWeights
from mlit.optics.ctf import Optics


@dataclass(frozen=True, eq=False)
class SeriesInput:
    """One tilt series, read and checked. Tilts are in file order.

    Attributes
    ----------
    name : str
        Name of the series, as its XML is called.
    xml : TiltSeriesXml
        The file that it came from; results are written into a copy of it.
    geometry, optics
        What the file says, as tensors.
    image_paths : tuple of Path
        File with the averaged image of each tilt. Tilts that are not used may lack theirs.
    image_size_px : tuple of int
        x and y of every image.
    pixel_size_angstrom : float
        Of the images, binning counted in.
    use_tilt : Bool "tilt"
        Tilts that count; the others enter neither refinement nor reconstruction.
    particle_index : Int "particle"
        Rows of the project's particle table.
    weights : SignalWeights
        Strength of the signal that the file states.
    image_sections : tuple of int or None
        Where the images lie in stacks: section of each tilt, from 0; None in the tuple, or None at all, where a file
        holds one image.
    """

    name: str
    xml: TiltSeriesXml = field(repr=False)
    geometry: SeriesGeometry = field(repr=False)
    optics: Optics = field(repr=False)
    image_paths: tuple[Path, ...] = field(repr=False)
    image_size_px: tuple[int, int]
    pixel_size_angstrom: float
    use_tilt: Bool[Tensor, "tilt"] = field(repr=False)
    particle_index: Int[Tensor, "particle"] = field(repr=False)
    weights: SignalWeights = field(default_factory=SignalWeights, repr=False)
    image_sections: tuple[int | None, ...] | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class RelionSource:
    """Tables of a RELION project, so that what mlit does not know in them reaches its results.

    Attributes
    ----------
    particles : RelionParticles
        The particle file; its rows are those of the project's particle table.
    tomograms : mapping of str to Tomogram
        By name of the series.
    tilts : mapping of str to TiltTable
        By name of the series, in the order of the file.
    tilt_order : mapping of str to ndarray
        Row of the file of each tilt of the series.
    folder : ProjectFolder
        Where the files lie that they name.
    """

    particles: RelionParticles
    tomograms: Mapping[str, Tomogram]
    tilts: Mapping[str, TiltTable]
    tilt_order: Mapping[str, np.ndarray]
    folder: ProjectFolder


@dataclass(frozen=True, eq=False)
class Project:
    """Tilt series that can be used, all particles, and why other series cannot be used.

    Attributes
    ----------
    settings_path : Path
        The file that describes the project: settings of Warp, a population of M, or a list of RELION's.
    series : tuple of SeriesInput
        Sorted by name; never empty.
    particles : ParticleTable
        Every row of the particle file, also those of series that are not used.
    failures : mapping of str to str
        Series that were set aside, with the reason in one line.
    pixel_size_angstrom : float
        Of the tilt images, binning counted in.
    input_paths : tuple of Path
        Files that say what the project is: what a result has to be compared with, and must not be written over.
    half_maps, mask
        Maps that the project offers to start from.
    relion : RelionSource or None
        Tables of RELION that the project was read from.
    """

    settings_path: Path
    series: tuple[SeriesInput, ...]
    particles: ParticleTable = field(repr=False)
    failures: Mapping[str, str]
    pixel_size_angstrom: float
    input_paths: tuple[Path, ...] = ()
    half_maps: tuple[Path, Path] | None = None
    mask: Path | None = None
    relion: RelionSource | None = field(default=None, repr=False)
