"""Estimated weights as a table: what was found, and how well it is known."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from mlit.io.csv_table import write_csv
from mlit.likelihood.weights_estimate import WeightsEstimate
from mlit.project.project import SeriesInput

COLUMNS = (
    "series",
    "kind",
    "number",
    "dose",
    "angle_deg",
    "quality",
    "quality_error",
    "quality_at_angstrom",
    "amplitude",
    "amplitude_error",
    "bfactor_angstrom2",
    "bfactor_error_angstrom2",
    "anisotropy_angstrom2",
    "anisotropy_direction_deg",
    "anisotropy_error_angstrom2",
)


def normalised(series: Mapping[str, SeriesInput], found: Mapping[str, WeightsEstimate]) -> dict[str, WeightsEstimate]:
    """Scale what files get together such that the largest of a series, and of a tilt in use, is one, as M writes it."""
    best = max(one.in_files.series_amplitude for one in found.values())
    strongest = max(float(_tilt_amplitude(one)[series[name].use_tilt].max()) for name, one in found.items())

    def scaled(estimate: WeightsEstimate) -> WeightsEstimate:
        values, errors = (
            replace(part, series_amplitude=part.series_amplitude / best, tilt_amplitude=tilts / strongest)
            for part in (estimate.in_files, estimate.errors)
            if (tilts := part.tilt_amplitude) is not None
        )
        return replace(estimate, in_files=values, errors=errors)

    return {name: scaled(one) for name, one in found.items()}


def _tilt_amplitude(estimate: WeightsEstimate) -> torch.Tensor:
    assert estimate.in_files.tilt_amplitude is not None
    return estimate.in_files.tilt_amplitude


def write_weights(path: Path, series: Mapping[str, SeriesInput], found: Mapping[str, WeightsEstimate]) -> None:
    """Write a CSV table with a row for each series, each of its tilts, and each place in the images.

    Parameters
    ----------
    path
        The file.
    series
        What was read.
    found
        Weights of the series, by name.
    """
    write_csv(path, COLUMNS, ((name, *row) for name, one in found.items() for row in _rows(series[name], one)))


def _rows(series: SeriesInput, estimate: WeightsEstimate) -> Iterator[tuple[str, ...]]:
    weights, errors = estimate.in_files, estimate.errors
    whole = ((w.series_amplitude, w.series_bfactor_angstrom2) for w in (weights, errors))
    quality = estimate.quality
    detail = _text(1 / quality.frequency_per_angstrom)
    level = _text(quality.series), _text(quality.series_error), detail
    yield ("series", "", "", "", *level, *_values(*whole), "", "", "")
    amplitude, bfactor = (
        [getattr(w, f"tilt_{k}") for w in (weights, errors)] for k in ("amplitude", "bfactor_angstrom2")
    )
    for tilt in range(series.geometry.tilts):
        place = str(tilt + 1), *map(_text, (series.geometry.dose[tilt], series.geometry.tilt_angle_rad[tilt].rad2deg()))
        if bool(series.use_tilt[tilt]):
            values = ((a[tilt], b[tilt]) for a, b in zip(amplitude, bfactor, strict=True))
            level = _text(quality.tilt[tilt]), _text(quality.tilt_error[tilt]), detail
            yield ("tilt", *place, *level, *_values(*values), *_anisotropy(estimate, tilt))
    if weights.places is not None and errors.places is not None:
        nodes = zip(weights.places.flatten(0, 2), errors.places.flatten(0, 2), strict=True)
        for number, (value, error) in enumerate(nodes, 1):
            yield ("place", str(number), "", "", "", "", "", *_values(value, error), "", "", "")


def _values(value: tuple | torch.Tensor, error: tuple | torch.Tensor) -> tuple[str, ...]:
    """Amplitude and its error, B factor and its error."""
    return tuple(_text(number) for pair in zip(value, error, strict=True) for number in pair)


def _anisotropy(estimate: WeightsEstimate, tilt: int) -> tuple[str, str, str]:
    """Size, direction and error of the anisotropy of a tilt."""
    vector, error = estimate.in_files.anisotropy_angstrom2, estimate.errors.anisotropy_angstrom2
    if vector is None or error is None:
        return ("", "", "")
    x, y = vector[tilt]
    direction = torch.atan2(y, x).rad2deg() / 2
    return _text(torch.hypot(x, y)), _text(direction), _text(error[tilt].square().mean().sqrt())


def _text(value: float | torch.Tensor) -> str:
    return f"{float(value):.5g}"
