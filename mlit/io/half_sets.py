"""Half sets: which particle belongs to which half map."""

import numpy as np
import pandas as pd

from mlit.errors import InputError
from mlit.io.star import column_numbers

COLUMNS = ("wrpRandomSubset", "rlnRandomSubset")


def half_sets(table: pd.DataFrame, series_name: np.ndarray, where: str) -> np.ndarray:
    """Return the half set, 1 or 2, of every particle.

    A half set that the file names is kept. Without one, particles of a series alternate in file order, so
    that both halves see every series alike and a second run gives the same halves.

    Parameters
    ----------
    table : DataFrame
        The particle table as text.
    series_name : ndarray of str
        Series of each particle.
    where : str
        The file, for messages.

    Raises
    ------
    InputError
        If a value is neither 1 nor 2, or one half is empty.
    """
    column = next((name for name in COLUMNS if name in table.columns), None)
    if column is None:
        return alternating_half_sets(series_name)
    values = column_numbers(table, column, where)
    wrong = np.flatnonzero((values != 1) & (values != 2))
    if wrong.size:
        row = int(wrong[0])
        raise InputError(f"{where}: row {row + 1}: {column} is {values[row]:g}; half sets are 1 and 2")
    for half in (1, 2):
        if len(values) and not (values == half).any():
            raise InputError(
                f"{where}: no particle is in half set {half} ({column}); "
                "fill both, or remove the column to have them assigned"
            )
    return values.astype(np.int64)


def alternating_half_sets(series_name: np.ndarray) -> np.ndarray:
    """Return 1, 2, 1, 2 … within each series in file order, int64.

    A series begins with the half after the one that the series before ended with, so that the halves stay
    equal over many series with few particles.
    """
    series = pd.factorize(series_name)[0]
    half_set = np.empty(len(series), dtype=np.int64)
    half_set[np.argsort(series, kind="stable")] = np.arange(len(series)) % 2 + 1
    return half_set
