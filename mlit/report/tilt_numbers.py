"""What the files of a run say about each tilt of each series."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlit.io.star import column_numbers, read_star
from mlit.report.run_folder import RunFolder, Table

BELIEVED = 0.5  # probability from which a pick counts as a particle
TILT_KINDS = ("weak tilt", "shaded tilt")


@dataclass(frozen=True)
class TiltNumbers:
    """Values of all tilts of all series, and what is suspect; columns are tilts in the order of the XML.

    Attributes
    ----------
    names
        Of the series.
    signal
        Fitted amplitude over that of the median tilt at its angle, times the share of the particles in the light.
    shift_angstrom
        Length of the mean shift of the image from where the run started.
    angle_deg
        Angle of the turn of the particles in this tilt from where the run started.
    tilt_angle_deg, dose
        Of the tilt; not a number where they are not known.
    exists, used
        Whether there is such a tilt, and whether it is in use.
    marks
        Row, column and kind of each suspect tilt.
    doubted, picks
        Picks of each series that are most likely no particles, and all of them.
    """

    names: tuple[str, ...]
    signal: np.ndarray
    shift_angstrom: np.ndarray
    angle_deg: np.ndarray
    tilt_angle_deg: np.ndarray
    dose: np.ndarray
    exists: np.ndarray
    used: np.ndarray
    marks: tuple[tuple[int, int, str], ...]
    doubted: np.ndarray
    picks: np.ndarray

    @property
    def faults(self) -> np.ndarray:
        """How bad each series looks: share of its tilts that are suspect, and of its picks that are doubted."""
        flagged = np.bincount([row for row, _, _ in self.marks], minlength=len(self.names))
        return flagged / self.exists.sum(1).clip(min=1) + self.doubted / self.picks.clip(min=1)

    def rows(self, order: np.ndarray) -> "TiltNumbers":
        """Return some of the series, in this order."""
        place = {int(row): i for i, row in enumerate(order)}
        arrays = (
            "signal",
            "shift_angstrom",
            "angle_deg",
            "tilt_angle_deg",
            "dose",
            "exists",
            "used",
            "doubted",
            "picks",
        )
        return TiltNumbers(
            names=tuple(self.names[row] for row in order),
            marks=tuple((place[row], tilt, kind) for row, tilt, kind in self.marks if row in place),
            **{name: getattr(self, name)[order] for name in arrays},
        )


def tilt_numbers(run: RunFolder) -> TiltNumbers | None:
    """Gather what is known of each tilt; None where no series was fitted."""
    tilts, suspects = run.table("tilts.csv"), run.suspects
    names: list[str] = sorted({*run.parameters, *([] if tilts.empty else tilts["series"].tolist())})
    if not names:
        return None
    shift, angle = ({n: measure(t) for n, t in run.parameters.items()} for measure in (tilt_shift, tilt_turn))
    columns = max([len(s) for s in (*shift.values(), *angle.values())], default=0)
    columns = max(columns, 0 if tilts.empty else int(tilts["tilt"].max()))
    blank = np.full((len(names), columns), np.nan)
    row_of = {name: row for row, name in enumerate(names)}
    amplitude, lit, degrees, dose, used = (
        _filled(blank, tilts, row_of, name) for name in ("amplitude", "lit", "angle_deg", "dose", "used")
    )
    marks = tuple(
        (row_of[one["series"]], int(one["number"]) - 1, one["kind"])
        for one in suspects.to_dict("records")
        if one["kind"] in TILT_KINDS and one["series"] in row_of and one["number"] <= columns
    )
    doubted, picks = doubted_picks(run, names)
    moved, turned = (_padded(blank, found, row_of) for found in (shift, angle))
    exists = np.isfinite(used) | np.isfinite(moved) | np.isfinite(turned)
    in_use = exists & (used != 0)
    moved, turned = (np.where(in_use, values, np.nan) for values in (moved, turned))
    return TiltNumbers(
        tuple(names), amplitude * lit, moved, turned, degrees, dose, exists, in_use, marks, doubted, picks
    )


def tilt_shift(parameters: Table) -> np.ndarray:
    """Length (Å) of the mean image warp of each tilt; empty where it was not refined."""
    warp = parameters[parameters["block"] == "image_warp"]
    if warp.empty:
        return np.zeros(0)
    mean = warp.groupby(["at_tilt", "at_axis"])["value"].mean().unstack()
    return np.hypot(mean[0], mean[1]).to_numpy()


def tilt_turn(parameters: Table) -> np.ndarray:
    """Length (degrees) of the vector of the stage angles of each tilt; empty where they were not refined."""
    stage = parameters[parameters["block"] == "stage_angles"]
    if stage.empty or "at_tilt" not in stage or stage["at_tilt"].isna().any():
        return np.zeros(0)
    return np.sqrt(stage.assign(square=stage["value"] ** 2).groupby("at_tilt")["square"].sum()).to_numpy()


def doubted_picks(run: RunFolder, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """How many picks of each series are doubted, and how many there are, of all species."""
    doubted, picks = np.zeros(len(names), int), np.zeros(len(names), int)
    row_of = {name: row for row, name in enumerate(names)}
    for species in run.species:
        particles = particle_columns(run, species)
        for series, probability in zip(particles["series"], particles["probability"], strict=True):
            if series in row_of:
                picks[row_of[series]] += 1
                doubted[row_of[series]] += probability < BELIEVED
    return doubted, picks


def particle_columns(run: RunFolder, species: str) -> Table:
    """Series, probability, standard errors and angles of the particles of a species; empty where it has no table.

    A probability is 1, and an error not a number, where the table does not hold it.
    """
    path = run.path / species / "particles.star"
    names = {
        "probability": "mlitProbability",
        **{f"position_error_{axis}": f"mlitCoordinateError{axis.upper()}1" for axis in "xyz"},
        **{f"rotation_error_{axis}": f"mlitRotationError{axis.upper()}1" for axis in "xyz"},
        **{name: f"wrpAngle{name.capitalize()}1" for name in ("rot", "tilt", "psi")},
    }
    if not path.is_file():
        return pd.DataFrame(columns=["series", *names])
    table = next(iter(read_star(path, "particle file").values()))
    series = table["wrpSourceName"].astype(str).str.removesuffix(".tomostar")
    columns = {new: _numbers(table, old, str(path), len(series)) for new, old in names.items()}
    columns["probability"] = np.where(np.isfinite(columns["probability"]), columns["probability"], 1.0)
    return pd.DataFrame({"series": series.to_numpy(), **columns})


def _numbers(table: Table, name: str, where: str, count: int) -> np.ndarray:
    if name not in table:
        return np.full(count, np.nan)
    known = ~table[name].isin(["nan", "", "<NA>"])
    values = np.full(count, np.nan)
    values[known.to_numpy()] = column_numbers(table[known], name, where)
    return values


def _filled(blank: np.ndarray, tilts: Table, row_of: dict[str, int], name: str) -> np.ndarray:
    """Put a column of the table of tilts into rows and columns."""
    values = blank.copy()
    if not tilts.empty:
        values[tilts["series"].map(row_of).to_numpy(), tilts["tilt"].to_numpy() - 1] = tilts[name].to_numpy(float)
    return values


def _padded(blank: np.ndarray, found: dict[str, np.ndarray], row_of: dict[str, int]) -> np.ndarray:
    values = blank.copy()
    for name, row in found.items():
        values[row_of[name], : len(row)] = row
    return values
