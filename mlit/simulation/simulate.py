"""Make a tilt-series project with known truth."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mlit.errors import InputError
from mlit.io.atomic import atomic_write
from mlit.io.mrc import write_mrc
from mlit.io.star import write_star
from mlit.io.warp.settings import WarpSettings, write_settings
from mlit.io.warp.tomostar import write_tomostar
from mlit.parallel import one_thread_each
from mlit.simulation.config import SimulationConfig
from mlit.simulation.config_sample import StructureConfig
from mlit.simulation.globular import generate_globular
from mlit.simulation.particle_star import start_table, true_table
from mlit.simulation.series_images import tilt_images
from mlit.simulation.series_plan import SeriesPlan, plan_series, volume_pixels
from mlit.simulation.series_xml import start_xml, tomostar, true_xml
from mlit.simulation.structure import Structure
from mlit.simulation.structure_file import load_structure
from mlit.simulation.true_map import map_size, true_density
from mlit.simulation.truth_files import TRUTH_FOLDER, species_suffix, truth_table

SETTINGS_NAME = "warp_tiltseries.settings"
SECOND_SPECIES = 2  # stream of random numbers


def _silent(_message: str) -> None:
    """Report to nobody."""


def simulate(config: SimulationConfig, output: Path, report: Callable[[str], None] = _silent) -> Path:
    """Simulate a project in WarpTools' layout with its truth beside it.

    Written are ``warp_tiltseries.settings`` (last: it marks a complete project), ``tomostar/``,
    ``warp_tiltseries/*.xml``, ``warp_frameseries/average/*.mrc``, ``particles.star`` and ``truth/`` (see
    :mod:`mlit.simulation.truth_files`). The same config gives the same bytes.

    Parameters
    ----------
    config
        What to simulate.
    output
        Project folder; made if missing.
    report
        Called with a line of text now and then.

    Returns
    -------
    settings
        Path of the project's settings file.

    Raises
    ------
    InputError
        If the folder already holds a project, or the config cannot be met.
    """
    settings_path = output / SETTINGS_NAME
    if settings_path.exists():
        raise InputError(f"{settings_path}: there is a project already; choose another output or remove it")
    structure_rng, *series_rngs = _generators(config)
    with one_thread_each():
        structures = make_structures(config, structure_rng)
        diameter = max(structure.diameter_angstrom for structure in structures)
        plans = [plan_series(config, number, diameter, rng) for number, rng in enumerate(series_rngs)]
        _write_truth(config, plans, structures, output / TRUTH_FOLDER)
        for plan in plans:
            _write_series(config, plan, structures, output, report)
    for species in range(len(structures)):
        write_star(output / f"particles{species_suffix(species)}.star", start_table(plans, config.microscope, species))
    write_settings(settings_path, _settings(config, settings_path))
    return settings_path


def make_structures(config: SimulationConfig, rng: np.random.Generator) -> list[Structure]:
    """Load or invent the molecule of each species."""
    first, second = make_structure(config.structure, rng), config.second_species
    if not second.share:
        return [first]
    seed = config.seed if second.structure.seed is None else second.structure.seed
    return [first, make_structure(second.structure, np.random.default_rng([seed, SECOND_SPECIES]))]


def make_structure(config: StructureConfig, rng: np.random.Generator) -> Structure:
    """Load or invent the molecule."""
    if config.path is not None:
        return load_structure(Path(config.path), config.symmetry)
    return generate_globular(config.diameter_angstrom, config.symmetry, config.bead_spacing_angstrom, rng, config.fill)


def _generators(config: SimulationConfig) -> list[np.random.Generator]:
    """Independent random streams: one for the molecule, one for each series."""
    own = config.seed if config.structure.seed is None else config.structure.seed
    series = np.random.SeedSequence(config.seed).spawn(config.series)
    return [np.random.default_rng([own, 0]), *(np.random.default_rng(seed) for seed in series)]


def _write_series(
    config: SimulationConfig,
    plan: SeriesPlan,
    structures: Sequence[Structure],
    output: Path,
    report: Callable[[str], None],
) -> None:
    """Images and starting metadata of one series."""
    started = time.perf_counter()
    pixel_size = config.microscope.pixel_size_angstrom
    dtype = np.float16 if config.microscope.float16 else np.float32
    for tilt, image in enumerate(tilt_images(config, plan, structures)):
        path = output / "warp_frameseries" / "average" / f"{plan.image_name(tilt)}.mrc"
        write_mrc(path, image.numpy().astype(dtype), pixel_size)
    start_xml(plan, config.microscope, config.defects.marked).write(output / "warp_tiltseries" / f"{plan.name}.xml")
    write_tomostar(output / "tomostar" / f"{plan.name}.tomostar", tomostar(plan))
    seconds = time.perf_counter() - started
    report(f"{plan.name}: {len(plan.scheme.number)} tilts, {len(plan.half_set)} picks, {seconds:.1f} s")


def _settings(config: SimulationConfig, path: Path) -> WarpSettings:
    """Describe the project; tomogram size in pixels."""
    x, y, z = volume_pixels(config)
    return WarpSettings(
        path=path,
        data_folder=path.parent / "tomostar",
        processing_folder=path.parent / "warp_tiltseries",
        extension="*.tomostar",
        pixel_size_angstrom=config.microscope.pixel_size_angstrom,
        bin_times=0.0,
        tomogram_size_px=(x, y, z),
        voltage_kv=config.microscope.voltage_kv,
        cs_mm=config.microscope.cs_mm,
        amplitude_contrast=config.microscope.amplitude_contrast,
    )


def _write_truth(
    config: SimulationConfig, plans: Sequence[SeriesPlan], structures: Sequence[Structure], folder: Path
) -> None:
    """Everything that a result is judged by."""
    pixel_size = config.microscope.pixel_size_angstrom
    for plan in plans:
        true_xml(plan, config.microscope).write(folder / "warp" / f"{plan.name}.xml")
    for species, structure in enumerate(structures):
        end = species_suffix(species)
        write_star(folder / f"particles{end}.star", true_table(plans, config.microscope, species))
        density = true_density(structure, map_size(structure, pixel_size), pixel_size)
        write_mrc(folder / f"map{end}.mrc", density.numpy(), pixel_size)
        with atomic_write(folder / f"structure{end}.npz") as partial:
            structure.save(partial)
    with atomic_write(folder / "meta.json") as partial:
        partial.write_text(json.dumps(_meta(config, plans, structures), indent=1) + "\n", encoding="utf-8")
    with atomic_write(folder / "README.md") as partial:
        partial.write_text(truth_table(), encoding="utf-8")


def _meta(config: SimulationConfig, plans: Sequence[SeriesPlan], structures: Sequence[Structure]) -> dict[str, object]:
    """Config and counts."""
    return {
        "config": asdict(config),
        **{
            f"structure{species_suffix(species)}": {
                "atoms": structure.atoms,
                "diameter_angstrom": structure.diameter_angstrom,
                "symmetry": structure.symmetry,
            }
            for species, structure in enumerate(structures)
        },
        "series": {plan.name: _series_meta(plan) for plan in plans},
    }


def _series_meta(plan: SeriesPlan) -> dict[str, object]:
    """Count what one series has, and what went wrong with it."""
    return {
        "tilts": len(plan.scheme.number),
        "particles": int((~plan.true_poses.false_pick).sum()),
        "false_picks": int(plan.true_poses.false_pick.sum()),
        "bad_tilts": [{"tilt": defect.tilt, "kind": defect.kind} for defect in plan.bad_tilts],
        "missing_tilts": plan.scheme.missing.tolist(),
        "quality": plan.quality.as_mapping(),
    }
