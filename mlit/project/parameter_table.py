"""The hyperparameters of a tilt series as a table: what was found, and how well it is known."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from mlit.deformation.block import Block
from mlit.deformation.series_model import SeriesModel
from mlit.io.csv_table import write_csv

COLUMNS = ("block", "parameter", "value", "standard_error", "prior_width", "unit")


def write_parameters(path: Path, model: SeriesModel, errors: Mapping[str, Tensor]) -> None:
    """Write all hyperparameters of a series, one a row, as deviations from the starting metadata.

    Parameters
    ----------
    path
        A CSV file.
    model
        The parameters.
    errors
        Standard errors of the raw parameters of the blocks that were refined; others are left out.
    """
    refined = (block for block in model.block_list if block.name in errors)
    write_csv(path, COLUMNS, (row for block in refined for row in _rows(block, errors[block.name])))


def _rows(block: Block, error: Tensor) -> Iterator[tuple[str, ...]]:
    values, errors = block.physical(), block.in_units(error)
    widths = block.in_units(block.prior.width())
    for place in itertools.product(*map(range, values.shape)):
        name = " ".join(f"{axis}={index}" for axis, index in zip(block.axes, place, strict=True))
        yield (block.name, name, *(f"{float(v[place]):.6g}" for v in (values, errors, widths)), block.unit)
