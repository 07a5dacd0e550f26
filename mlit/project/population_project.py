"""Reading a population of M as a project."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mlit.errors import InputError
from mlit.io.m.source import MSource
from mlit.io.particles import ParticleTable, read_particles
from mlit.io.series_names import series_key
from mlit.io.warp.settings import WarpSettings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.bad_tilts import read_bad_tilts
from mlit.project.particle_places import match_series
from mlit.project.population_tree import PopulationTree, read_population_tree
from mlit.project.project import Project
from mlit.project.selection import select_series
from mlit.project.source_settings import base_settings, source_settings
from mlit.project.usable_series import strangers
from mlit.project.warp_project import collect_series, read_xmls


@dataclass(frozen=True)
class _SeriesOfSources:
    """Series of all sources: their settings by name, and the bare names that hashes of M stand for."""

    settings: dict[str, WarpSettings]
    key_of_hash: dict[str, str]


def load_population_project(
    population: Path | str,
    species: str | None = None,
    series_glob: str | Sequence[str] = "*",
    exclude: Sequence[str] = (),
    particle_diameter_angstrom: float | None = None,
    processing: Path | str | None = None,
    particles: Path | str | None = None,
    coordinate_pixel_size_angstrom: float | None = None,
    bad_tilts: Path | str | None = None,
) -> Project:
    """Read and check one species of a population and the tilt series of all its sources.

    Nothing is written, and no pixel is read. A fault of one series sets it aside with the reason.

    Parameters
    ----------
    population : Path or str
        The `.population` file.
    species : str, optional
        Name or beginning of the GUID; needed where there are several.
    series_glob, exclude, processing, coordinate_pixel_size_angstrom, bad_tilts
        As in `load_warp_project`.
    particle_diameter_angstrom : float, optional
        Of the molecule; by default that of the species.
    particles : Path or str, optional
        Another particle table than that of the species, such as the result of an earlier run.

    Raises
    ------
    InputError
        If a file is at fault, there are frame series, two sources have a series of the same name, or no series is
        left.
    """
    tree = read_population_tree(population)
    chosen = tree.choose_species(species)
    series = _series_of_sources(tree, processing)
    selected = select_series(sorted(series.settings), series_glob, exclude)
    bad = read_bad_tilts(bad_tilts)
    bad.check_series(series.settings)
    xmls: dict[str, TiltSeriesXml] = {}
    failures: dict[str, str] = {}
    for name in selected:
        found, failed = read_xmls([name], series.settings[name])
        xmls |= found
        failures |= failed
    table_path = chosen.file("particles") if particles is None else Path(particles)
    table = _particles(table_path, series, coordinate_pixel_size_angstrom)
    return collect_series(
        tree.population.path,
        {name: source_settings(series.settings[name], xmls.get(name)) for name in selected},
        xmls,
        table,
        failures | strangers(table, list(series.settings)),
        particle_diameter_angstrom or chosen.diameter_angstrom,
        table_path,
        bad,
    )


def _series_of_sources(tree: PopulationTree, processing: Path | str | None) -> _SeriesOfSources:
    settings: dict[str, WarpSettings] = {}
    key_of_hash: dict[str, str] = {}
    for source in tree.sources:
        _check_source(source)
        own = _base_settings(source, processing)
        for file in source.files:
            name = file.series_name
            if name in settings:
                raise InputError(
                    f"{source.path}: has a series {name}, as has {settings[name].path}; results are named after "
                    "series, so rename one of them"
                )
            settings[name] = own
            key_of_hash[file.hash] = series_key(name)
    if not settings:
        raise InputError(f"{tree.population.path}: its sources hold no tilt series; add one in M")
    return _SeriesOfSources(settings, key_of_hash)


def _check_source(source: MSource) -> None:
    if source.files and not source.is_tilt_series:
        raise InputError(
            f"{source.path}: is a source of frame series ({source.files[0].name}), which mlit cannot refine; "
            "take it out of the population"
        )


def _base_settings(source: MSource, processing: Path | str | None) -> WarpSettings:
    if processing is not None and not Path(processing).is_dir():
        raise InputError(f"data.processing={processing}: is not a folder; give that of the tilt-series XML files")
    return base_settings(source, None if processing is None else Path(processing))


def _particles(path: Path, series: _SeriesOfSources, coordinate_pixel_size: float | None) -> ParticleTable:
    """Read the particles; they name their series by hash, or by name where the hash is unknown."""
    settings = next(iter(series.settings.values()))
    size = settings.tomogram_size_angstrom
    table = read_particles(
        path, settings.pixel_size_angstrom, size, coordinate_pixel_size_angstrom=coordinate_pixel_size
    )
    if "wrpSourceHash" in table.source.columns:
        hashes = (str(text) for text in table.source["wrpSourceHash"])
        names = [series.key_of_hash.get(h, str(n)) for h, n in zip(hashes, table.series_name, strict=True)]
        table = replace(table, series_name=np.array(names, dtype=object))
    return match_series(table, sorted(series.settings), path)
