"""The results of a run on a population, laid out so that M can go on from them."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlit.io.atomic import atomic_write
from mlit.io.m.population import MReference, write_population
from mlit.io.m.source import MSource, write_source
from mlit.io.m.species import MSpecies, write_species
from mlit.io.mrc import read_mrc_header
from mlit.io.particles import read_particles
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.population_tree import PopulationTree
from mlit.project.source_settings import base_settings, source_settings

MAPS = {
    "half1": "half1.mrc",
    "half2": "half2.mrc",
    "mask": "mask.mrc",
    "filtered": "map_filtered.mrc",
    "sharpened": "map_sharp.mrc",
    "denoised": "map_denoised.mrc",
    "fsc": "fsc.star",
    "particles": "particles.star",
}


@dataclass(frozen=True)
class SpeciesResult:
    """What a run has made of a species.

    Attributes
    ----------
    folder
        Of its maps and particles.
    resolution_angstrom
        At FSC 0.143.
    """

    folder: Path
    resolution_angstrom: float


def write_population_results(run: Path, tree: PopulationTree, results: Mapping[str, SpeciesResult]) -> Path:
    """Write population, sources and the refined species of a run.

    The population lies in ``run/m``, its sources beside the refined XML files. Sources name the series that have
    refined metadata, whose `DataDirectory` becomes the full path of their `.tomostar`; other species are named where
    they are. Hashes and versions stay as they were: M makes new ones when it commits.

    Parameters
    ----------
    run : Path
        Folder of the run.
    tree : PopulationTree
        The input.
    results : mapping of str to SpeciesResult
        The species that were refined, by GUID.

    Returns
    -------
    Path
        The population file.
    """
    folder = run / "m"
    sources = [_write_source(run / "warp_tiltseries", folder, source) for source in tree.sources]
    members = [
        _write_species(folder, one, results[one.guid])
        if one.guid in results
        else MReference(one.guid, relative(one.path, folder))
        for one in tree.species
    ]
    path = folder / tree.population.path.name
    write_population(path, replace(tree.population, path=path, species=tuple(members), sources=tuple(sources)))
    return path


def _write_source(metadata: Path, folder: Path, source: MSource) -> MReference:
    path = metadata / source.path.name
    refined = tuple(file for file in source.files if (metadata / f"{file.series_name}.xml").is_file())
    for file in refined:
        xml = TiltSeriesXml.read(metadata / f"{file.series_name}.xml")
        data_folder = source_settings(base_settings(source), xml).data_folder.resolve()
        if (data_folder / f"{file.series_name}.tomostar").is_file():
            xml.with_attributes({"DataDirectory": data_folder.as_posix()}).write(xml.path)
    write_source(path, replace(source, path=path, files=refined))
    return MReference(source.guid, relative(path, folder))


def _write_species(folder: Path, species: MSpecies, result: SpeciesResult) -> MReference:
    path = folder / "species" / species.path.resolve().parent.name / species.path.name
    results = result.folder
    pixel = read_mrc_header(results / MAPS["half1"]).pixel_size_angstrom
    refined = replace(
        species,
        path=path,
        pixel_size_angstrom=round(pixel or species.pixel_size_angstrom, 6),
        samples=read_particles(results / MAPS["particles"]).samples,
        resolution_angstrom=round(result.resolution_angstrom, 4),
    )
    for kind, name in MAPS.items():
        if (results / name).is_file():
            with atomic_write(refined.file(kind)) as partial:
                shutil.copyfile(results / name, partial)
    write_species(path, refined)
    return MReference(species.guid, relative(path, folder))


def relative(path: Path, folder: Path) -> str:
    """Return a path as a file in that folder shall name it."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
