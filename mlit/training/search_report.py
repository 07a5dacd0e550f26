"""What searches of the defocus have found, as tables and in the log."""

import logging
from pathlib import Path

from mlit.io.csv_table import write_csv
from mlit.likelihood.defocus_search import DefocusSearch
from mlit.training.data import SeriesBatch
from mlit.training.module import RefinementModule
from mlit.training.series_callback import SeriesCallback

LOG = logging.getLogger("mlit")
COLUMNS = ("tilt", "offset_um", "log_likelihood", "jump_um", "accepted")


class DefocusSearchReport(SeriesCallback):
    """Writes a table for each series whose defocus was searched, and says which tilts were moved.

    Parameters
    ----------
    folder
        Gets ``SERIES.csv``.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def after_series(self, module: RefinementModule, batch: SeriesBatch) -> None:
        """Write and log, where this fit began with a search."""
        search = module.records[batch.name].search
        if search is not None:
            write_search(self.folder / f"{batch.name}.csv", search)
            LOG.info("  %s %s", batch.name, summary(search))


def write_search(path: Path, search: DefocusSearch) -> None:
    """Write the log-likelihood of every tilt (counted from 0, in file order) at every offset of its defocus."""
    offsets, jumps = search.offset_um.tolist(), search.jump_um.tolist()
    rows = (
        (tilt, f"{offset:.4f}", f"{value:.3f}", f"{jump:.4f}", jump != 0)
        for tilt, (curve, jump) in enumerate(zip(search.log_likelihood.tolist(), jumps, strict=True))
        for offset, value in zip(offsets, curve, strict=True)
    )
    write_csv(path, COLUMNS, rows)


def summary(search: DefocusSearch) -> str:
    """One line for the log."""
    tilts = search.accepted.nonzero().flatten().tolist()
    reach = float(search.offset_um[-1])
    if not tilts:
        return f"defocus searched within ±{reach:g} µm: no tilt of {len(search.jump_um)} moved"
    moves = ", ".join(f"tilt {tilt} by {float(search.jump_um[tilt]):+.3f}" for tilt in tilts)
    return f"defocus searched within ±{reach:g} µm: moved {moves} µm"
