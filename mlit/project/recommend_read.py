"""The figures of a finished run, from the files in its folder."""

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from mlit.errors import InputError
from mlit.io.fsc_star import read_fsc_star
from mlit.io.particle_table import ParticleTable
from mlit.io.particles import read_particles
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.optics.wavelength import electron_wavelength_angstrom
from mlit.project.recommend_advice import Change
from mlit.project.recommend_figures import BlockFigures, Movement, RunFigures, SeriesFigures

OUTLIER = 4.0  # widths of a prior
SAME_DETAIL = 0.95  # times the resolution of an earlier fit: hardly finer
SETTINGS = Path("checkpoints", "config.json")
RESOLUTION = "fsc_0.143_angstrom"  # column of the metrics; behind NAME/ for species after the first
Row = Mapping[str, str]


def read_settings(run: Path) -> dict[str, Any]:
    """Return the settings of a run.

    Raises
    ------
    InputError
        If the folder holds no finished run.
    """
    for needed in ("summary.json", "metrics.csv", SETTINGS):
        if not (run / needed).is_file():
            raise InputError(f"output={run}: {run / needed} is missing; name the folder of a finished mlit refine")
    try:
        return json.loads((run / SETTINGS).read_text(encoding="utf-8"))["settings"]
    except (ValueError, KeyError) as error:
        raise InputError(f"{run / SETTINGS}: is damaged ({error!r}); run mlit refine again") from error


def run_before(settings: Mapping[str, Any]) -> Path | None:
    """Folder of the run that a run went on from; None where there is none."""
    data = settings["data"]
    named = data.get("processing") or data.get("optimisation_set")
    folder = Path(named).parent if named else None
    if folder is not None and "relion" in (folder.name, folder.parent.name):
        folder = folder.parent if folder.name == "relion" else folder.parent.parent
    return (
        folder if folder is not None and all((folder / name).is_file() for name in ("summary.json", SETTINGS)) else None
    )


def species_of(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the settings of all species of a run, in order."""
    return [settings["species"], *(settings.get("more_species") or ())]


def read_run(run: Path) -> RunFigures:
    """Collect the figures of a finished run; of several species, maps and poses are those of the finest map.

    Raises
    ------
    InputError
        If the folder holds no finished run, or a file of it is damaged.
    """
    settings = read_settings(run)
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    name = min(summary["species"], key=lambda name: summary["species"][name]["resolution_angstrom"])
    species = next(one for one in species_of(settings) if one["name"] == name)
    tables = {one: read_particles(run / one / "particles.star") for one in summary["species"]}
    rows = _rows(run / "metrics.csv")
    model = {key: dict(value) for key, value in settings["model"].items() if isinstance(value, dict)}
    for change in chosen_changes(summary["chosen"]):
        for block, arguments in change.items():
            model[block] |= arguments
    headers = {path.stem: TiltSeriesXml.read(path) for path in sorted((run / "warp_tiltseries").glob("*.xml"))}
    voltage = next((xml.ctf_number("Voltage", 300.0) for xml in headers.values()), 300.0)
    error = summary["expected_error"] or {}
    return RunFigures(
        series=tuple(_series(rows, list(tables.values()), headers)),
        diameter_angstrom=float(species["diameter"]),
        finest_angstrom=1 / float(read_fsc_star(run / name / "fsc.star").frequency_per_angstrom[-1]),
        resolutions_angstrom=_resolutions(rows, name, summary["species"][name]["resolution_angstrom"]),
        model=model,
        fitted_to_angstrom=summary["fit_resolution_angstrom"],
        moved=tuple(_moved(rows)),
        expected_error=Movement(error.get("position_angstrom", math.nan), error.get("rotation_deg", math.nan)),
        pose_error_angstrom=_pose_error(tables[name]),
        blocks=_blocks(sorted((run / "parameters").glob("*.csv"))),
        left_out=summary["left_out"],
        wavelength_angstrom=electron_wavelength_angstrom(voltage),
        binned=species.get("pixel_size_angstrom") is not None,
        continued=run_before(settings) is not None,
        compared=tuple(_compared(run, summary["fit_resolution_angstrom"])),
        weighted=(run / "weights.csv").is_file(),
        suspects=summary["suspects"],
        false_fraction=float(species["false_fraction"]),
        decay_angstrom2=summary["species"][name].get("decay_angstrom2", math.nan),
    )


def read_fit_scores(run: Path) -> list[tuple[float, float]]:
    """Resolution of the fits (Å) and held-out score of an image, for each iteration of a run that fitted."""
    found = []
    for own in _fitted(_rows(run / "metrics.csv")):
        images = sum(int(row["images"]) for row in own)
        score = sum(float(row["held_out_log_likelihood"]) for row in own) / images
        found.append((float(own[0]["fit_resolution_angstrom"]), score))
    return found


def _compared(run: Path, detail_angstrom: float | None) -> Iterator[Change]:
    """Yield changes that a run and those before it have judged, as long as they looked about as far."""
    settings, summary = read_settings(run), json.loads((run / "summary.json").read_text(encoding="utf-8"))
    fitted = summary["fit_resolution_angstrom"]
    if detail_angstrom is None or fitted is None or detail_angstrom < SAME_DETAIL * fitted:
        return
    yield from settings["model"].get("candidates") or ()
    before = run_before(settings)
    if before is not None:
        yield from _compared(before, detail_angstrom)


def chosen_by(run: Path) -> list[Change]:
    """Return the changes of the model that a finished run has made itself."""
    return chosen_changes(json.loads((run / "summary.json").read_text(encoding="utf-8"))["chosen"])


def chosen_changes(labels: Iterable[str]) -> list[Change]:
    """Read them from their labels in the summary: ``image_warp.grid=[6, 6]``."""
    found = []
    for label in labels:
        parts = re.findall(r"(\w+)\.(\w+)=(.*?)(?= \w+\.\w+=|$)", label)
        found.append({parts[0][0]: {key: yaml.safe_load(value) for _, key, value in parts}})
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _series(
    rows: Sequence[Row], particles: Sequence[ParticleTable], headers: Mapping[str, TiltSeriesXml]
) -> Iterable[SeriesFigures]:
    """Describe the series of the last iteration that have results."""
    last = max(int(row["iteration"]) for row in rows)
    for row in rows:
        if int(row["iteration"]) != last or row["series"] not in headers:
            continue
        name, images = row["series"], int(row["images"])
        size = headers[name].volume_size_angstrom
        yield SeriesFigures(
            name,
            sum(int((table.series_name == name).sum()) for table in particles),
            images,
            float(row["held_out_log_likelihood"]) / images if images else math.nan,
            row["status"].startswith("rejected"),
            math.prod(size) / 1e12 if size else math.nan,
        )


def _resolutions(rows: Sequence[Row], species: str, final: float) -> tuple[float, ...]:
    """Resolution of a species after each iteration; the last is that of the final map."""
    column = f"{species}/{RESOLUTION}" if f"{species}/{RESOLUTION}" in rows[0] else RESOLUTION
    reached = {int(row["iteration"]): float(row[column]) for row in rows}
    return (*(reached[iteration] for iteration in sorted(reached)[:-1]), final)


def _moved(rows: Sequence[Row]) -> Iterable[Movement]:
    """Root mean square over the images of all series, for each iteration that fitted."""
    for own in _fitted(rows):
        images = [int(row["images"]) for row in own]
        yield Movement(
            *(
                math.sqrt(np.average([float(row[column]) ** 2 for row in own], weights=images))
                for column in ("change_position_angstrom", "change_rotation_deg")
            )
        )


def _fitted(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield the rows of the series that were fitted, iteration by iteration."""
    for iteration in sorted({int(row["iteration"]) for row in rows}):
        own = [
            row
            for row in rows
            if int(row["iteration"]) == iteration
            and int(row["passes"])
            and int(row["images"])
            and not row["status"].startswith("rejected")
        ]
        if own:
            yield own


def _pose_error(particles: ParticleTable) -> float:
    """Median standard error of a coordinate; not a number where nothing was fitted."""
    columns = [f"mlitCoordinateError{axis}1" for axis in "XYZ"]
    if not set(columns) <= set(particles.source):
        return math.nan
    errors = particles.source[columns].to_numpy(dtype=float)
    known = errors[np.isfinite(errors)]
    return float(np.median(known)) if len(known) else math.nan


def _blocks(tables: Sequence[Path]) -> dict[str, BlockFigures]:
    """Sum up the hyperparameters of all series, block by block."""
    if not tables:
        return {}
    table = pd.concat([pd.read_csv(path) for path in tables])
    found = {}
    for name, rows in table.groupby("block"):
        columns = [rows[column].to_numpy() for column in ("value", "standard_error", "prior_width")]
        value, error, width = (math.sqrt(np.mean(column**2)) for column in columns)
        outliers = float(np.mean(np.abs(columns[0]) > OUTLIER * columns[2]))
        found[str(name)] = BlockFigures(value, error, width, outliers)
    return found
