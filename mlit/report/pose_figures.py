"""How well each particle is known: expected errors of its pose, and how likely it is one."""

from dataclasses import dataclass

import numpy as np

from mlit.io.star import column_numbers, read_star
from mlit.report.axis import linear_axis, number
from mlit.report.page import Part
from mlit.report.run_folder import RunFolder
from mlit.report.svg import Plot
from mlit.report.tilt_numbers import BELIEVED, particle_columns

BINS = 24
CERTAIN = 0.99  # probabilities that are all above say nothing


@dataclass(frozen=True)
class PoseNumbers:
    """Of the particles that were fitted; errors and drift only of those that are believed, others have no pose.

    Attributes
    ----------
    position_angstrom, rotation_deg
        Length of the vector of its standard errors.
    along_z
        Standard error along the microscope's axis over the mean of those across it.
    probability
        That it is a particle.
    drift_angstrom
        Distance from its first to its last position over the exposure; empty where it has only one.
    """

    position_angstrom: np.ndarray
    rotation_deg: np.ndarray
    along_z: np.ndarray
    probability: np.ndarray
    drift_angstrom: np.ndarray


def pose_numbers(run: RunFolder, species: str) -> PoseNumbers | None:
    """Read them from the particle table; None where no particle was fitted."""
    table = particle_columns(run, species)
    errors = [table[[f"{kind}_error_{axis}" for axis in "xyz"]].to_numpy(float) for kind in ("position", "rotation")]
    fitted = np.isfinite(errors[0]).all(1) & np.isfinite(errors[1]).all(1) & (errors[0] > 0).all(1)
    if not fitted.any():
        return None
    probability = table["probability"].to_numpy(float)
    believed = fitted & (probability >= BELIEVED)
    position, rotation = (one[believed] for one in errors)
    across = position[:, :2].mean(1)
    return PoseNumbers(
        np.linalg.norm(position, axis=1),
        np.linalg.norm(rotation, axis=1),
        position[:, 2] / across,
        probability[fitted],
        _drift(run, species)[believed] if _samples(run, species) > 1 else np.zeros(0),
    )


def _samples(run: RunFolder, species: str) -> int:
    """How many poses each particle has over the exposure."""
    table = next(iter(read_star(run.path / species / "particles.star").values()))
    return sum(str(name).startswith("wrpCoordinateX") for name in table.columns)


def _drift(run: RunFolder, species: str) -> np.ndarray:
    path = run.path / species / "particles.star"
    table, last = next(iter(read_star(path).values())), _samples(run, species)
    start, end = (
        np.array([column_numbers(table, f"wrpCoordinate{a}{k}", str(path)) for a in "XYZ"]) for k in (1, last)
    )
    return np.linalg.norm(end - start, axis=0)


def draw_poses(found: PoseNumbers, species: str) -> list[Part]:
    """Draw a histogram of each."""
    ratio = number(float(np.median(found.along_z)), 2) if len(found.along_z) else "–"
    drawn = [
        _histogram(
            found.position_angstrom,
            f"position-errors-{species}",
            f"Expected error of positions, {species}",
            "expected error, Å",
            "c1",
            "Length of the vector of the three standard errors of each believed particle, by the curvature of its fit. "
            f"Errors along z, the axis of the microscope, are {ratio} times those across it (median).",
        ),
        _histogram(
            found.rotation_deg,
            f"rotation-errors-{species}",
            f"Expected error of orientations, {species}",
            "expected error, °",
            "c3",
            "Length of the vector of the three standard errors of the rotation of each particle. A second hump at "
            "large errors is particles that show little: overlaps, or edges of the images.",
        ),
    ]
    return [*drawn, *_draw_probability(found, species), *_draw_drift(found, species)]


def _draw_probability(found: PoseNumbers, species: str) -> list[Part]:
    if found.probability.min() >= CERTAIN:
        return []
    doubted = int((found.probability < BELIEVED).sum())
    return [
        _histogram(
            found.probability,
            f"probabilities-{species}",
            f"How likely picks are particles, {species}",
            "probability",
            "c2",
            f"{doubted} of {len(found.probability)} picks are more likely no particles of this kind, and count "
            "little in maps and fits. Many between 0 and 1 mean that the images cannot tell.",
            edges=np.linspace(0, 1, 21),
        )
    ]


def _draw_drift(found: PoseNumbers, species: str) -> list[Part]:
    if not len(found.drift_angstrom):
        return []
    return [
        _histogram(
            found.drift_angstrom,
            f"drift-{species}",
            f"Drift of particles over the exposure, {species}",
            "distance from first to last pose, Å",
            "c4",
            "How far each particle moved in the sample from the first to the last of its poses over the exposure.",
        )
    ]


def _histogram(
    values: np.ndarray, name: str, title: str, label: str, colour: str, caption: str, edges: np.ndarray | None = None
) -> Part:
    """Draw how many particles have which value; the axis ends where one in two hundred lies beyond."""
    if edges is None:
        high = (float(np.quantile(values, 0.995)) if len(values) else 0.0) * 1.1 or 1.0
        edges = np.linspace(0, high, BINS + 1)
    counts, _ = np.histogram(values.clip(max=edges[-1]), edges)
    plot = Plot(linear_axis(label, edges), linear_axis("particles", [*counts.tolist(), 0.0]))
    plot.bars(edges, counts.astype(float), colour)
    return Part(name, title, caption, plot.svg(title))
