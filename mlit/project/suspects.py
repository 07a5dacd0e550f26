"""What a run does not believe: picks that are none, and tilts that show little or nothing."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from mlit.io.csv_table import write_csv
from mlit.likelihood.credence import Credence
from mlit.project.project import SeriesInput
from mlit.project.tilts_table import over_median_tilt

FALSE_PICK, WEAK_TILT, SHADED_TILT = "false pick", "weak tilt", "shaded tilt"
BELIEVED = 0.5  # probability from which a particle is taken for one
LEAST_POWER = 0.25  # of the signal of a tilt, where 1 is usual in its series


@dataclass(frozen=True)
class Suspect:
    """One particle or tilt that counts less than it should.

    Attributes
    ----------
    series
        Its series.
    kind
        A false pick; a weak tilt, with little signal for its angle; or a tilt part of which lies in the shade.
    number
        Row of the particle table or tilt of the series, both from 1.
    evidence
        Logarithm of the Bayes factor that there is a signal.
    weight
        What it still counts: the probability of a particle; power of the signal in a weak tilt over that of the median
        tilt; share of the particles that are not in the shade.
    species
        Whose particle table the row is of; empty for a tilt.
    """

    series: str
    kind: str
    number: int
    evidence: float
    weight: float
    species: str = ""


def find_false_picks(series: SeriesInput, credence: Credence, false_fraction: float, species: str) -> list[Suspect]:
    """List the particles of a species in a series that are more likely none.

    Parameters
    ----------
    series
        The series, with the particles of the species.
    credence
        Of the last fit, of these particles.
    false_fraction
        Share of the picks that is expected to be none.
    species
        Its name.
    """
    probability = credence.particle_probability(false_fraction)
    return [
        Suspect(
            series.name,
            FALSE_PICK,
            int(series.particle_index[place]) + 1,
            float(credence.particle[place]),
            float(probability[place]),
            species,
        )
        for place in (probability < BELIEVED).nonzero().flatten().tolist()
    ]


def find_bad_tilts(
    series: SeriesInput, credence: Credence, relative_amplitude: Float[Tensor, " tilt"]
) -> list[Suspect]:
    """List the tilts of a series that show little, or part of which lies in the shade; see :func:`tilt_rows`."""
    used = series.use_tilt
    power = over_median_tilt(relative_amplitude, used).square() * credence.tilt_probability()
    kinds = (
        (SHADED_TILT, used & (credence.lit < 1), credence.lit),
        (WEAK_TILT, used & (power < LEAST_POWER), power),
    )
    return [
        Suspect(series.name, kind, place + 1, float(credence.tilt[place]), float(weight[place]))
        for kind, suspect, weight in kinds
        for place in suspect.nonzero().flatten().tolist()
    ]


def write_suspects(path: Path, suspects: Iterable[Suspect]) -> None:
    """Write a CSV table, one suspect a row."""
    rows = (
        (*names, f"{factor:.2f}", f"{weight:.4f}", species)
        for *names, factor, weight, species in map(astuple, suspects)
    )
    write_csv(path, (field.name for field in fields(Suspect)), rows)


def count_kinds(suspects: Iterable[Suspect]) -> dict[str, int]:
    """How many there are of each kind."""
    kinds = [suspect.kind for suspect in suspects]
    return {kind: kinds.count(kind) for kind in (FALSE_PICK, SHADED_TILT, WEAK_TILT)}
