"""One row for each series: how its fits went, and what is wrong with it."""

from dataclasses import dataclass

import numpy as np

from mlit.report.page import Cell, Part, table
from mlit.report.run_folder import RunFolder
from mlit.report.tilt_numbers import TILT_KINDS, doubted_picks

HEADS = (
    "series",
    "picks",
    "doubted",
    "suspect tilts",
    "last fit: log-posterior before",
    "after",
    "gain of all fits, nats",
    "held-out, nats per image",
    "moved at first, Å",
    "moved at last, Å",
    "turned at last, °",
    "expected error, Å",
    "expected error, °",
    "defocus change, nm rms",
    "last status",
)
NAN = float("nan")


@dataclass(frozen=True)
class SeriesRow:
    """Figures of one series; not a number where they are not known."""

    name: str
    picks: int
    doubted: int
    suspect_tilts: int
    status: str
    before: float = NAN
    after: float = NAN
    gain: float = NAN
    held_out_per_image: float = NAN
    first_moved_angstrom: float = NAN
    last_moved_angstrom: float = NAN
    last_moved_deg: float = NAN
    error_angstrom: float = NAN
    error_deg: float = NAN
    defocus_change_nm: float = NAN

    @property
    def bad(self) -> bool:
        """Whether a person should look at it."""
        return self.status.startswith(("rejected", "left out", "set aside")) or self.suspect_tilts + self.doubted > 0


def series_rows(run: RunFolder) -> list[SeriesRow]:
    """Return a row for each series of the table of metrics, and for each that was set aside."""
    left_out = {name: f"left out: {reason}" for name, reason in (run.summary.get("left_out") or {}).items()}
    metrics = run.metrics
    names: list[str] = sorted({*left_out, *([] if metrics.empty else metrics["series"].tolist())})
    doubted, picks = doubted_picks(run, names)
    return [_row(run, name, int(p), int(d), left_out) for name, p, d in zip(names, picks, doubted, strict=True)]


def _row(run: RunFolder, name: str, picks: int, doubted: int, left_out: dict[str, str]) -> SeriesRow:
    own = run.metrics[run.metrics["series"] == name] if not run.metrics.empty else run.metrics
    status = left_out.get(name) or (str(own.sort_values("iteration")["status"].iloc[-1]) if len(own) else "")
    suspects = run.suspects
    flagged = 0 if suspects.empty else int(((suspects["series"] == name) & suspects["kind"].isin(TILT_KINDS)).sum())
    fits = own[own["passes"] > 0].sort_values("iteration") if len(own) else own
    if not len(fits):
        return SeriesRow(name, picks, doubted, flagged, status)
    first, last = fits.iloc[0], fits.iloc[-1]
    return SeriesRow(
        name,
        picks,
        doubted,
        flagged,
        status,
        last["log_posterior_start"],
        last["log_posterior_end"],
        float((fits["log_posterior_end"] - fits["log_posterior_start"]).sum()),
        last.get("held_out_log_likelihood", NAN) / last["images"] if last.get("images", 0) else NAN,
        first.get("change_position_angstrom", NAN),
        last.get("change_position_angstrom", NAN),
        last.get("change_rotation_deg", NAN),
        last.get("expected_error_position_angstrom", NAN),
        last.get("expected_error_rotation_deg", NAN),
        defocus_change_nm(run, name),
    )


def defocus_change_nm(run: RunFolder, name: str) -> float:
    """Root mean square over the tilts of the change of the defocus since the start of the run."""
    parameters = run.parameters.get(name)
    if parameters is None:
        return NAN
    values = parameters.loc[parameters["block"] == "defocus", "value"].to_numpy()
    return 1000 * float(np.sqrt(np.mean(values**2))) if len(values) else NAN


def draw_series_table(rows: list[SeriesRow]) -> Part:
    """Lay out the rows."""
    cells = [
        (
            Cell(row.name, row.name),
            *(Cell.of(float(value), 6) for value in (row.picks, row.doubted, row.suspect_tilts)),
            *(Cell.of(value, 6) for value in (row.before, row.after, row.gain)),
            Cell.of(row.held_out_per_image),
            *(Cell.of(value) for value in (row.first_moved_angstrom, row.last_moved_angstrom, row.last_moved_deg)),
            *(Cell.of(value) for value in (row.error_angstrom, row.error_deg, row.defocus_change_nm)),
            Cell(row.status, row.status),
        )
        for row in rows
    ]
    return Part(
        "series-table",
        "Every series",
        "Click on a heading to sort. Marked rows have suspect tilts, doubted picks, or a fit that was rejected. The "
        "held-out log-likelihood is that of images which the fit did not see, against no signal at all: near zero or "
        "below it, a series adds nothing.",
        table(HEADS, cells, bad=[row.bad for row in rows], words=len(HEADS) - 1),
        width="wide",
    )
