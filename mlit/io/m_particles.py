"""Columns of M's particle tables: Å from the corner of the volume, one triple per sample in time."""

import numpy as np
import pandas as pd

from mlit.errors import InputError
from mlit.io.particle_table import ParticleTable
from mlit.io.star import column_numbers

WEIGHT_COLUMN = "mlitWeight"
_DECIMALS = 6


def is_m_table(table: pd.DataFrame) -> bool:
    """Whether a table has M's coordinate columns."""
    return "wrpCoordinateX1" in table.columns


def m_poses(table: pd.DataFrame, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return positions in Å and Euler angles in degrees, both float64 "particle sample 3".

    Where the table has more samples of one than of the other, the last sample of the other is repeated.

    Raises
    ------
    InputError
        If a column is missing or holds something else than finite numbers.
    """
    position = _samples(table, "wrpCoordinate", ("X", "Y", "Z"), where)
    euler = _samples(table, "wrpAngle", ("Rot", "Tilt", "Psi"), where)
    count = max(position.shape[1], euler.shape[1])
    return _repeat_last(position, count), _repeat_last(euler, count)


def m_names(table: pd.DataFrame, where: str) -> pd.Series:
    """Return the column that names the series."""
    if "wrpSourceName" not in table.columns:
        raise InputError(f"{where}: has no column wrpSourceName; add the name of the series of each particle")
    return pd.Series(table["wrpSourceName"])


def m_table(table: ParticleTable, superseded: tuple[str, ...]) -> pd.DataFrame:
    """Return M's table of the particles, all values as text.

    Columns of the source follow M's own, except those named in `superseded`, whose old poses would
    contradict the new ones.
    """
    columns: dict[str, list[str]] = {}
    for sample in range(table.samples):
        for axis, letter in enumerate("XYZ"):
            columns[f"wrpCoordinate{letter}{sample + 1}"] = _fixed(table.position_angstrom[:, sample, axis])
    for sample in range(table.samples):
        for axis, angle in enumerate(("Rot", "Tilt", "Psi")):
            columns[f"wrpAngle{angle}{sample + 1}"] = _fixed(table.euler_deg[:, sample, axis])
    columns["wrpRandomSubset"] = [str(int(half)) for half in table.half_set]
    columns["wrpSourceName"] = [f"{name}.tomostar" for name in table.series_name]
    if "wrpSourceHash" in table.source.columns:
        columns["wrpSourceHash"] = [str(value) for value in table.source["wrpSourceHash"]]
    columns[WEIGHT_COLUMN] = _fixed(table.weight)
    for name in table.source.columns:
        is_pose = name.startswith(("wrpCoordinate", "wrpAngle"))
        if name not in columns and name not in superseded and not is_pose:
            columns[name] = [str(value) for value in table.source[name]]
    return pd.DataFrame(columns, dtype=object)


def _samples(table: pd.DataFrame, stem: str, axes: tuple[str, ...], where: str) -> np.ndarray:
    count = 1
    while f"{stem}{axes[0]}{count + 1}" in table.columns:
        count += 1
    samples = [
        np.stack([column_numbers(table, f"{stem}{axis}{sample}", where) for axis in axes], axis=1)
        for sample in range(1, count + 1)
    ]
    return np.stack(samples, axis=1)


def _repeat_last(samples: np.ndarray, count: int) -> np.ndarray:
    missing = count - samples.shape[1]
    return np.concatenate([samples, np.repeat(samples[:, -1:], missing, axis=1)], axis=1)


def _fixed(values: np.ndarray) -> list[str]:
    if not np.isfinite(values).all():
        raise ValueError("a particle table cannot hold values that are not finite")
    return [f"{value:.{_DECIMALS}f}" for value in values]
