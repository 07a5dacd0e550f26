"""How particles move in the sample while they are exposed."""

from dataclasses import dataclass

import numpy as np

from mlit.io.star import column_numbers, read_star
from mlit.report.axis import linear_axis
from mlit.report.page import Part
from mlit.report.run_folder import RunFolder
from mlit.report.svg import Plot
from mlit.report.tilt_numbers import BELIEVED, particle_columns

SHOWN = 12  # particles with lines of their own


@dataclass(frozen=True)
class Drift:
    """Paths of the believed particles over the exposure.

    Attributes
    ----------
    along
        Dose (e/Å²) at each sample, of the median series; or the share of the exposure, where no dose is known.
    has_dose
        Which of the two.
    distance_angstrom
        Of each particle (rows) at each sample from its first.
    """

    along: np.ndarray
    has_dose: bool
    distance_angstrom: np.ndarray

    @property
    def shown(self) -> np.ndarray:
        """Rows of some particles, evenly from the one that moved least to the one that moved most."""
        order = np.argsort(self.distance_angstrom[:, -1], kind="stable")
        return order[np.unique(np.linspace(0, len(order) - 1, min(SHOWN, len(order))).round().astype(int))]


def drift_numbers(run: RunFolder, species: str) -> Drift | None:
    """Read the paths; None where particles have one pose each, or none is believed."""
    path = run.path / species / "particles.star"
    if not path.is_file():
        return None
    table = next(iter(read_star(path, "particle file").values()))
    samples = sum(str(name).startswith("wrpCoordinateX") for name in table.columns)
    if samples < 2:
        return None
    names = [[f"wrpCoordinate{axis}{k}" for axis in "XYZ"] for k in range(1, samples + 1)]
    places = np.array([[column_numbers(table, name, str(path)) for name in sample] for sample in names])
    believed = particle_columns(run, species)["probability"].to_numpy(float) >= BELIEVED
    distance = np.linalg.norm(places - places[0], axis=1).T[believed]
    if not len(distance):
        return None
    share, dose = np.linspace(0, 1, samples), _dose_range(run)
    along = share if dose is None else dose[0] + share * (dose[1] - dose[0])
    return Drift(along, dose is not None, distance)


def _dose_range(run: RunFolder) -> tuple[float, float] | None:
    """Lowest and highest dose of the median series."""
    tilts = run.table("tilts.csv")
    if tilts.empty:
        return None
    ends = tilts.groupby("series")["dose"].agg(["min", "max"]).median()
    return (float(ends["min"]), float(ends["max"])) if ends["max"] > ends["min"] else None


def draw_drift(found: Drift, species: str) -> Part:
    """Draw median and spread over all particles, and the paths of some."""
    distance = found.distance_angstrom
    low, quarter, median, three, high = np.quantile(distance, (0.05, 0.25, 0.5, 0.75, 0.95), axis=0)
    some = distance[found.shown]
    label = "dose, e/Å²" if found.has_dose else "share of the exposure"
    top = max(float(high.max()), float(some.max()))
    plot = Plot(linear_axis(label, found.along), linear_axis("distance from the first pose, Å", [0.0, top]))
    plot.band(found.along, low, high, "c6", "nine of ten particles")
    plot.band(found.along, quarter, three, "c1", "half of them")
    for number, path in enumerate(some):
        plot.line(found.along, path, "c0", "" if number else "some particles", width=1.0)
    plot.line(found.along, median, "c2", "median", width=2.4)
    plot.points(found.along, median, "c2")
    return Part(
        f"drift-dose-{species}",
        f"Drift over the dose, {species}",
        f"How far each of {len(distance)} believed particles lies from where it was at first, in the sample, at its "
        f"{len(found.along)} poses over the exposure. Errors of the poses add to it: compare with their expected "
        "error. Motion that all share is in the warps, not here.",
        plot.svg("Drift over the dose"),
    )


def drift_parts(run: RunFolder) -> list[Part]:
    """Draw the drift of every species that has several poses for each particle."""
    found = {species: drift_numbers(run, species) for species in run.species}
    return [draw_drift(one, species) for species, one in found.items() if one is not None]
