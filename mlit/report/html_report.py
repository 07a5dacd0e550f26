"""The report of a run: one HTML file, made from the files in its folder alone."""

import html
from collections.abc import Callable
from pathlib import Path

from mlit.errors import InputError
from mlit.io.atomic import atomic_write
from mlit.report.aberrations import aberration_parts
from mlit.report.chimerax import write_script
from mlit.report.convergence import blocks_of, convergence_numbers, draw_convergence, draw_iteration_table
from mlit.report.drift import drift_parts
from mlit.report.headline import headline
from mlit.report.map_figures import map_parts
from mlit.report.orientations import orientation_parts
from mlit.report.page import Part, Section, document
from mlit.report.pose_figures import draw_poses, pose_numbers
from mlit.report.provenance import provenance_parts
from mlit.report.resolution_figures import resolution_parts
from mlit.report.run_folder import RunFolder
from mlit.report.series_table import draw_series_table, series_rows
from mlit.report.tilt_maps import tilt_parts
from mlit.report.warp_fields import draw_warps, pictures_of, warp_fields
from mlit.report.weight_figures import weight_parts

REPORT = "report.html"
Shown = tuple[list[Part], list[str]]


def write_report(folder: Path) -> Path:
    """Write ``report.html`` anew, and beside the maps of each species what shows them in ChimeraX.

    Parameters
    ----------
    folder
        Output folder of a finished run.

    Raises
    ------
    InputError
        If the folder holds no finished run. A file that is damaged only costs its section, which says so.
    """
    run = RunFolder(folder)
    sections = [_section(run, *one) for one in SECTIONS if run.species]
    page = document(f"mlit: {folder.resolve().name}", _headline(run), sections)
    for species in run.species:
        write_script(folder / species)
    with atomic_write(folder / REPORT) as partial:
        partial.write_text(page, encoding="utf-8")
    return folder / REPORT


def _headline(run: RunFolder) -> str:
    try:
        return headline(run)
    except (InputError, KeyError) as error:
        return f'<p class="fine">Not shown: {html.escape(str(error))}</p>'


def _section(run: RunFolder, name: str, title: str, make: Callable[[RunFolder], Shown]) -> Section:
    try:
        parts, notes = make(run)
    except (InputError, KeyError) as error:
        parts, notes = [], [f"Not shown: {error}"]
    return Section(name, title, parts, notes)


def _resolution(run: RunFolder) -> Shown:
    return resolution_parts(run), []


def _progress(run: RunFolder) -> Shown:
    found = convergence_numbers(run)
    if found is None:
        return [], ["metrics.csv is gone: nothing is known of single iterations."]
    blocks = [blocks_of(run, int(str(iteration))) for iteration in found.table.index]
    return [draw_iteration_table(found, blocks), *draw_convergence(found)], []


def _series(run: RunFolder) -> Shown:
    return [draw_series_table(series_rows(run))], []


def _warps(run: RunFolder) -> Shown:
    fields, total = warp_fields(run)
    return draw_warps(fields, total, pictures_of(run, fields)), []


def _particles(run: RunFolder) -> Shown:
    found = {species: pose_numbers(run, species) for species in run.species}
    parts = [part for species, one in found.items() if one is not None for part in draw_poses(one, species)]
    return [*parts, *drift_parts(run), *orientation_parts(run)], []


def _weights(run: RunFolder) -> Shown:
    return weight_parts(run), []


def _optics(run: RunFolder) -> Shown:
    return aberration_parts(run), []


def _provenance(run: RunFolder) -> Shown:
    return provenance_parts(run), []


SECTIONS: tuple[tuple[str, str, Callable[[RunFolder], Shown]], ...] = (
    ("resolution", "Resolution", _resolution),
    ("progress", "Iterations", _progress),
    ("maps", "Maps", map_parts),
    ("series", "Tilt series", _series),
    ("tilts", "Tilts", tilt_parts),
    ("weights", "Weights", _weights),
    ("warp", "Image warp", _warps),
    ("optics", "Optics", _optics),
    ("particles", "Particles", _particles),
    ("provenance", "How to reproduce it", _provenance),
)
