"""How well the qualities of series and tilts of a simulated project were found.

Judged is one number for each tilt and each series, as in ``weights.csv``: the strength of the signal, relative to the
noise, beyond what dose and path through the sample let expect.
"""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlit.errors import InputError
from mlit.io.mrc import read_mrc
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.simulation.truth_files import TRUTH_FOLDER

DRAWS = 200


@dataclass(frozen=True)
class Recovery:
    """Agreement with the truth; logarithms of amplitudes.

    Attributes
    ----------
    tilts, series
        Rank correlation (Spearman) of estimates and truth.
    tilts_at_best, series_at_best
        What it is on average where the truth lies about the estimates as their standard errors say.
    tilt_spread, tilt_error, tilt_error_bar
        Root mean squares over all tilts: of the true qualities, of the error, and of what the error was said to be.
    series_spread, series_error, series_error_bar
        The same of the series.
    """

    tilts: float
    tilts_at_best: float
    tilt_spread: float
    tilt_error: float
    tilt_error_bar: float
    series: float
    series_at_best: float
    series_spread: float
    series_error: float
    series_error_bar: float

    def __str__(self) -> str:
        return "\n".join(
            f"{name}: rank correlation {rank:.3f} ({best:.3f} is to be expected from the errors); spread {spread:.3f}, "
            f"error {error:.3f}, said to be {bar:.3f}"
            for name, rank, best, spread, error, bar in (
                ("tilts", *list(vars(self).values())[:5]),
                ("series", *list(vars(self).values())[5:]),
            )
        )


def recovery(project: Path, run: Path) -> Recovery:
    """Compare ``weights.csv`` of a run with the truth of a simulated project.

    Raises
    ------
    InputError
        If one of them is not there.
    """
    table, meta = run / "weights.csv", project / TRUTH_FOLDER / "meta.json"
    for path in (table, meta):
        if not path.is_file():
            raise InputError(f"{path}: no such file; give a simulated project, and the output of mlit weights for it")
    with open(table, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    truth = json.loads(meta.read_text(encoding="utf-8"))["series"]
    tilts, series = [], []
    for whole in (row for row in rows if row["kind"] == "series"):
        name = whole["series"]
        own = [row for row in rows if row["series"] == name and row["kind"] == "tilt"]
        used = np.array([int(row["number"]) - 1 for row in own])
        true = true_quality(project, name, truth[name]["quality"], 1 / float(whole["quality_at_angstrom"]))[used]
        found, error = _logarithms(own)
        tilts.append(np.stack([true - true.mean(), found - found.mean(), error]))
        series.append([true.mean(), *(float(part[0]) for part in _logarithms([whole]))])
    return Recovery(*_agreement(np.concatenate(tilts, 1)), *_agreement(np.array(series).T))


def true_quality(project: Path, name: str, quality: Mapping[str, Any], frequency_per_angstrom: float) -> np.ndarray:
    """Logarithm of the quality of each tilt of a series at a frequency, on a scale of the project.

    Images are normalised: the signal is relative to mean and standard deviation of the counts.
    """
    xml = TiltSeriesXml.read(project / TRUTH_FOLDER / "warp" / f"{name}.xml")
    folder = project / "warp_frameseries" / "average"
    images = [read_mrc(folder / f"{Path(path).stem}.mrc")[0].astype(np.float64) for path in xml.movie_paths]
    counts = np.log([image.mean() / image.std() for image in images])
    decay = frequency_per_angstrom**2 / 4
    series = math.log(quality["series_amplitude"]) + quality["series_bfactor_angstrom2"] * decay
    own = np.log(quality["tilt_amplitude"]) + np.array(quality["tilt_bfactor_angstrom2"]) * decay
    return series + own + counts - np.log(np.cos(np.deg2rad(xml.angle_deg))) / 2


def _logarithms(rows: Sequence[Mapping[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of qualities, and their errors."""
    value, error = (np.array([float(row[key]) for row in rows]) for key in ("quality", "quality_error"))
    return np.log(value), error / value


def _agreement(values: np.ndarray) -> tuple[float, ...]:
    """Rank correlation, the same at best, and spreads of truth, error and error bar, of these three in a row."""
    true, found, bar = values
    rng = np.random.default_rng(0)
    best = [_rank_correlation(found, found + bar * rng.normal(size=len(bar))) for _ in range(DRAWS)]
    spreads = (float(np.std(part)) for part in (true, found - true))
    return _rank_correlation(found, true), float(np.mean(best)), *spreads, float(np.sqrt(np.mean(bar**2)))


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    ranks = np.stack([part.argsort().argsort() for part in (one, other)])
    return float(np.asarray(np.corrcoef(ranks))[0, 1])
