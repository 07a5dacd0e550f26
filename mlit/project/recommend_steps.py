"""Whether a run was better than the one that it went on from."""

import math
from dataclasses import dataclass

from mlit.project.recommend_figures import RunFigures

SAME_DETAIL = 0.02  # relative difference of two resolutions that fits count as equally far with
SURE = 2.0  # standard errors
FEWEST_SERIES = 3  # from which the scatter between series is an error


@dataclass(frozen=True)
class Verdict:
    """How a run compares with the one before.

    Attributes
    ----------
    text
        One sentence, with its figures.
    better
        None where that cannot be told.
    """

    text: str
    better: bool | None


def judge_step(before: RunFigures, now: RunFigures) -> Verdict:
    """Compare the held-out scores of two runs, series by series.

    Scores can be compared only where fits looked equally far: finer detail adds signal to every image.
    """
    limits = before.fitted_to_angstrom, now.fitted_to_angstrom
    maps = f"{before.resolution_angstrom:.2f} → {now.resolution_angstrom:.2f} Å"
    if limits[0] is None or limits[1] is None:
        return Verdict(f"map {maps}; held-out scores cannot be compared, as one of the runs fitted nothing", None)
    if abs(limits[1] / limits[0] - 1) > SAME_DETAIL:
        seen = f"{limits[0]:.2f} and {limits[1]:.2f} Å"
        return Verdict(f"map {maps}; held-out scores cannot be compared, as fits looked to {seen}", None)
    known = {one.name: one for one in before.series}
    pairs = [
        (one, known[one.name])
        for one in now.series
        if one.name in known and math.isfinite(one.held_out) and math.isfinite(known[one.name].held_out)
    ]
    if not pairs:
        return Verdict(f"map {maps}; the runs have no fitted series in common", None)
    gains = [one.held_out - other.held_out for one, other in pairs]
    gain = sum(gains) / len(gains)
    scores = f"held-out score {before.held_out:.3f} → {now.held_out:.3f} at {limits[1]:.2f} Å, map {maps}"
    if len(gains) < FEWEST_SERIES:
        return Verdict(f"{scores}; {len(gains)} series are too few to say how sure that is", None)
    error = math.sqrt(sum((one - gain) ** 2 for one in gains) / (len(gains) * (len(gains) - 1)))
    sure = abs(gain) > SURE * error
    return Verdict(f"{scores}; {gain:+.3f} ± {error:.3f} over {len(gains)} series", gain > 0 if sure else None)
