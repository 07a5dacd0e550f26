"""Whether the run has settled: gain, movement and resolution of every iteration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlit.report.axis import Axis, linear_axis, log_axis
from mlit.report.page import Cell, Part, table
from mlit.report.run_folder import RunFolder, Table
from mlit.report.svg import Plot

QUANTITIES = {
    "gain": "gain of the log-posterior of a series",
    "change_position_angstrom": "moved in this iteration",
    "expected_error_position_angstrom": "expected error that remains",
}


@dataclass(frozen=True)
class Convergence:
    """Figures by iteration.

    Attributes
    ----------
    table
        A row for each iteration: resolution of the fits, number of fitted and rejected series, and sum of their gains.
    reached
        By species, a row for each iteration: resolution at FSC 0.143, and how far the halves agree beyond chance.
    spread
        Of each quantity the lowest, median and highest value over the series, a row for each iteration with fits.
    """

    table: Table
    reached: dict[str, Table]
    spread: dict[str, Table]


def convergence_numbers(run: RunFolder) -> Convergence | None:
    """Work out all figures; None where there is no table of metrics."""
    if run.metrics.empty:
        return None
    rows = run.metrics.assign(gain=run.metrics["log_posterior_end"] - run.metrics["log_posterior_start"])
    fitted = rows[rows["passes"] > 0]
    by_iteration = rows.groupby("iteration")
    summary = pd.DataFrame(
        index=sorted(rows["iteration"].unique()),
        data={
            "fit_angstrom": fitted.groupby("iteration")["fit_resolution_angstrom"].first(),
            "fitted": fitted.groupby("iteration").size(),
            "rejected": rows[rows["status"].str.startswith("rejected")].groupby("iteration").size(),
            "gain": fitted.groupby("iteration")["gain"].sum(min_count=1),
        },
    )
    summary[["fitted", "rejected"]] = summary[["fitted", "rejected"]].fillna(0).astype(int)
    spread = {
        name: fitted.groupby("iteration")[name].agg(["min", "median", "max"])
        for name in QUANTITIES
        if name in fitted.columns
    }
    return Convergence(summary, {name: _reached(by_iteration, run, name) for name in run.species}, spread)


def _reached(by_iteration: Table, run: RunFolder, species: str) -> Table:
    """Return how far the maps of a species went; its columns have its name in front unless it is the first."""
    prefix = "" if species == run.species[0] else f"{species}/"
    names = {"resolution_angstrom": "fsc_0.143_angstrom", "agreement_angstrom": "significant_resolution_angstrom"}
    return pd.DataFrame({new: by_iteration[prefix + old].first() for new, old in names.items()})


def blocks_of(run: RunFolder, iteration: int) -> str:
    """Names of the enabled blocks that an iteration refined, as the config has them."""
    schedule = (run.config.get("schedule") or {}).get("iterations") or []
    if not 1 <= iteration <= len(schedule):
        return ""
    model = run.config.get("model") or {}
    enabled = [name for name in schedule[iteration - 1].get("blocks") or [] if _enabled(model.get(name))]
    return ", ".join([*enabled, *["weights"] * bool(schedule[iteration - 1].get("weights"))])


def _enabled(block: object) -> bool:
    return isinstance(block, dict) and bool(block.get("enabled", True))


def draw_iteration_table(found: Convergence, blocks: Sequence[str]) -> Part:
    """Lay out what each iteration did and brought."""
    heads = ["iteration", "refined", "fits to, Å", "fitted", "rejected", "gain, nats"]
    rows = []
    for (iteration, row), what in zip(found.table.iterrows(), blocks, strict=True):
        name = "start" if iteration == 0 else str(iteration)
        counts = (Cell.of(float(row[column]), 6) for column in ("fitted", "rejected"))
        rows.append(
            [
                Cell(name, float(str(iteration))),
                Cell(what, what),
                Cell.fixed(float(row["fit_angstrom"]), 2),
                *counts,
                Cell.of(float(row["gain"]), 4),
            ]
        )
    for species, reached in found.reached.items():
        whose = f"{species}: " if len(found.reached) > 1 else ""
        heads += [f"{whose}{name}" for name in ("FSC 0.143, Å", "gain, Å", "halves agree to, Å")]
        resolution = reached["resolution_angstrom"]
        columns = (resolution, -resolution.diff(), reached["agreement_angstrom"])
        for row, *figures in zip(rows, *columns, strict=True):
            row += [Cell.fixed(float(v), 2) for v in figures]
    return Part(
        "iterations",
        "Stage by stage",
        "What each iteration refined and how far the half maps agreed after it; a positive gain in Å is finer detail "
        "than before. Nats are the gain of the log-posterior, summed over the series.",
        table(heads, rows, words=1),
        width="wide",
    )


def draw_convergence(found: Convergence) -> list[Part]:
    """Draw movement against what remains to be gained, the gain, and the resolution, by iteration."""
    moved, error = (found.spread.get(name) for name in list(QUANTITIES)[1:])
    gain, parts = found.spread.get("gain"), []
    if moved is not None and error is not None and len(moved):
        parts.append(_draw_movement(moved, error))
    if gain is not None and len(gain):
        parts.append(_draw_gain(gain))
    return [*parts, _draw_resolution(found.reached)]


def _draw_movement(moved: Table, error: Table) -> Part:
    values = np.r_[moved.to_numpy().ravel(), error.to_numpy().ravel()]
    plot = Plot(_iteration_axis(moved), log_axis("particles in the images, Å", values))
    for one, colour, name in ((moved, "c1", "moved (median series)"), (error, "c2", "expected error")):
        _draw_spread(plot, one, colour, name)
    return Part(
        "moved",
        "Has it settled?",
        "How far particles moved in each iteration, and the error that is expected to remain; bands run from the best "
        "to the worst series. It has settled where the movement is well below the error.",
        plot.svg("Movement by iteration"),
    )


def _draw_gain(gain: Table) -> Part:
    plot = Plot(_iteration_axis(gain), log_axis("gain of the log-posterior, nats", gain.to_numpy().ravel()))
    _draw_spread(plot, gain.where(gain > 0), "c3", "median series")
    return Part(
        "gains",
        "Gain of the fits",
        "Gain of the log-posterior of a series in each iteration, from the least to the greatest; gains of zero or "
        "less are not drawn. Each iteration looks farther than the last, so gains may grow again.",
        plot.svg("Gain by iteration"),
    )


def _draw_resolution(by_species: Mapping[str, Table]) -> Part:
    tables = list(by_species.values())
    values = np.concatenate([one.to_numpy(float).ravel() for one in tables])
    plot = Plot(_iteration_axis(tables[0]), linear_axis("resolution, Å", values))
    for number, (species, one) in enumerate(by_species.items()):
        x, colour = one.index.to_numpy(float), f"c{1 + number % 6}"
        reached, agreed = (one[name].to_numpy(float) for name in ("resolution_angstrom", "agreement_angstrom"))
        plot.line(x, reached, colour, f"{species}, FSC 0.143", width=2.2)
        plot.points(x, reached, colour)
        plot.line(x, agreed, colour, "halves agree beyond chance", dashed=True)
    return Part(
        "resolution-iterations",
        "Resolution by iteration",
        "Down is better. 0 is the reconstruction from the starting metadata.",
        plot.svg("Resolution by iteration"),
    )


def _iteration_axis(table: Table) -> Axis:
    """Axis over the iterations that a table has rows for."""
    low, high = int(table.index.min()), int(table.index.max())
    step = max(1, (high - low) // 10)
    ticks = tuple((float(i), str(i)) for i in range(low, high + 1, step))
    return Axis("iteration", low - 0.3, high + 0.3, ticks)


def _draw_spread(plot: Plot, spread: Table, colour: str, name: str) -> None:
    """Draw the median as line and dots, and a band from lowest to highest."""
    x = spread.index.to_numpy(float)
    plot.band(x, spread["min"].to_numpy(), spread["max"].to_numpy(), colour)
    plot.line(x, spread["median"].to_numpy(), colour, name, width=2.2)
    plot.points(x, spread["median"].to_numpy(), colour)
