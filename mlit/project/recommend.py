"""What to do after a run: numbers in, advice out. `docs/recommend.md` justifies every threshold."""

import math
from collections.abc import Callable, Iterator

from mlit.project.recommend_advice import Advice
from mlit.project.recommend_blocks import NOTICEABLE, block_advice
from mlit.project.recommend_figures import RunFigures
from mlit.project.recommend_loss import loss_of_shift

BLOB_DIAMETERS = 0.25  # detail coarser than this share of the diameter shows a blob
SETTLED = 1.0  # expected errors: what moves less than that is done
GAINED = 0.03  # finer resolution by an iteration: it may go on
NEAR_NYQUIST = 1.05  # times the finest detail that the maps can hold
BEST_TO_WORST = 2.0  # held-out score of the best series over that of the worst: they differ in quality
SEARCH_UM = 0.3  # on either side, where the defocus is searched
OUTLIERS = 0.01  # share of the tilts whose defocus was far off
MOTION_PER_ERROR = math.sqrt(12)  # a line over the exposure is known that many times worse than its mean
FALSE_TOO_MANY = 2.0  # times the number of false picks that was expected
FALSE_SURE = 3.0  # standard deviations of that number
MORE_PARTICLES = 0.95  # of the resolution, reached with twice the particles: that is worth while


def advise(run: RunFigures) -> list[Advice]:
    """Say what to do after a run, the most important first.

    Parameters
    ----------
    run
        Its figures.
    """
    return [*_look_first(run)] or [advice for rule in RULES for advice in rule(run)] or [_stop(run)]


def _look_first(run: RunFigures) -> Iterator[Advice]:
    """Warn of runs that are not worth to go on from."""
    blob = BLOB_DIAMETERS * run.diameter_angstrom
    if run.resolution_angstrom > blob:
        yield Advice(
            "look for what is wrong first",
            f"half maps agree to {run.resolution_angstrom:.0f} Å only, coarser than a quarter of the diameter "
            f"({blob:.0f} Å), where a molecule is a blob: starting poses, their unit, the half sets or the pixel size",
            "inspect",
        )
    elif run.held_out <= 0:
        yield Advice(
            "look for what is wrong first",
            f"the maps predict an image that no fit has seen worse than nothing does (held-out score "
            f"{run.held_out:.2f}): the poses follow noise, or the hand of depth or the pixel size is wrong",
            "inspect",
        )


def _start(run: RunFigures) -> Iterator[Advice]:
    if run.fitted_to_angstrom is None:
        weighted = " with the weights that were found" * run.weighted
        yield Advice(
            "refine",
            f"these are maps of the project as it stands{weighted}, at {run.resolution_angstrom:.1f} Å; nothing was "
            "fitted",
            words=("schedule=standard",),
        )


def _go_on(run: RunFigures) -> Iterator[Advice]:
    """Go on with the same where the run has not ended by itself."""
    if not run.moved:
        return
    last, left = run.moved[-1], run.expected_error
    moving = (
        last.position_angstrom > SETTLED * left.position_angstrom or last.rotation_deg > SETTLED * left.rotation_deg
    )
    *_, before, now = (math.nan, *run.resolutions_angstrom)
    gained = now < (1 - GAINED) * before
    reasons = [
        f"its last iteration still moved particles by {last.position_angstrom:.2f} Å and {last.rotation_deg:.2f}°, "
        f"where {left.position_angstrom:.2f} Å and {left.rotation_deg:.2f}° remain uncertain"
    ] * moving + [f"its last iteration still took the map from {before:.2f} to {now:.2f} Å"] * gained
    if reasons:
        yield Advice("the same again", " and ".join(reasons), words=("schedule=once",))


def _bad_series(run: RunFigures) -> Iterator[Advice]:
    worse = [one.name for one in run.series if one.held_out < 0 and one.images]
    if worse and len(worse) < len(run.series):
        yield Advice(
            f"leave out {', '.join(worse)}",
            f"{len(worse)} of {len(run.series)} series have a held-out score below zero: the map predicts their images "
            "worse than nothing does",
            words=(f"data.exclude=[{','.join(worse)}]", "schedule=once"),
        )
    rejected = [one.name for one in run.series if one.rejected]
    if rejected:
        yield Advice(
            f"look at {', '.join(rejected)} in mlit.log",
            f"the last fit of {len(rejected)} of {len(run.series)} series was rejected, and they kept the "
            "parameters that they had",
            verb="",
        )


def _false_picks(run: RunFigures) -> Iterator[Advice]:
    found, expected = run.suspects.get("false pick", 0), run.false_fraction * run.particles
    share = found / max(run.particles, 1)
    if found > max(FALSE_TOO_MANY * expected, expected + FALSE_SURE * math.sqrt(expected)) > 0:
        share = min(share, 0.9)
        yield Advice(
            f"expect {100 * share:.0f} % of false picks",
            f"{run.suspects['false pick']} of {run.particles} picks are not believed, where "
            f"{100 * run.false_fraction:.0f} % were expected",
            words=(f"species.false_fraction={share:.2f}", "schedule=once"),
        )


def _defocus_far_off(run: RunFigures) -> Iterator[Advice]:
    found, arguments = run.blocks.get("defocus"), run.model.get("defocus", {})
    passable_um = run.detail_angstrom**2 / run.wavelength_angstrom / 1e4  # half a turn of the CTF
    if found is None or found.outliers < OUTLIERS or arguments.get("search_um") or passable_um > SEARCH_UM:
        return
    yield Advice(
        "search the defocus",
        f"{100 * found.outliers:.0f} % of the tilts ended more than four widths of the prior from where they "
        "started, and a fit alone may stop at the wrong one",
        words=(f"model.defocus.search_um={SEARCH_UM}", "schedule=once"),
    )


def _moving_particles(run: RunFigures) -> Iterator[Advice]:
    """Several poses over the exposure, where the images can tell them apart."""
    poses = run.model["poses"]
    motion, error = float(poses["motion_prior_angstrom"]), run.pose_error_angstrom * MOTION_PER_ERROR
    cost = loss_of_shift(motion / math.sqrt(12), run.detail_angstrom)
    if poses["temporal_samples"] == 1 and error <= motion / 2 and cost >= NOTICEABLE:
        yield Advice(
            "try two poses of each particle over the exposure",
            f"a motion of {motion:g} Å, as its prior expects, would cost {100 * cost:.0f} % of the amplitude at "
            f"{run.detail_angstrom:.1f} Å, and would be known to {error:.1f} Å; keep it if the held-out score rises",
            words=("model.poses.temporal_samples=2", "schedule=once"),
        )


def _weights(run: RunFigures) -> Iterator[Advice]:
    scores = [one.held_out for one in run.series if one.images and one.held_out > 0]
    if run.weighted or len(scores) < 2 or max(scores) < BEST_TO_WORST * min(scores):
        return
    yield Advice(
        "estimate weights of series and tilts",
        f"the held-out score of an image is {max(scores):.3g} in the best series and {min(scores):.3g} in the worst; "
        "where quality differs that much, weights may sharpen the map",
        "weights",
    )


def _pixels(run: RunFigures) -> Iterator[Advice]:
    if run.binned and run.resolution_angstrom < NEAR_NYQUIST * run.finest_angstrom:
        yield Advice(
            "take smaller pixels",
            f"the map reaches {run.resolution_angstrom:.2f} Å and its pixels end at {run.finest_angstrom:.2f} Å",
            words=("species.pixel_size_angstrom=null", "schedule=once"),
        )


def _blocks(run: RunFigures) -> Iterator[Advice]:
    if run.fitted_to_angstrom is not None:
        yield from block_advice(run)


RULES: tuple[Callable[[RunFigures], Iterator[Advice]], ...] = (
    _start,
    _bad_series,
    _false_picks,
    _go_on,
    _pixels,
    _blocks,
    _defocus_far_off,
    _moving_particles,
    _weights,
)


def _stop(run: RunFigures) -> Advice:
    """Nothing is left that would show."""
    why = (
        f"fits have settled at {run.resolution_angstrom:.2f} Å, and no block is left whose usual errors would cost 2 %"
    )
    if run.resolution_angstrom < NEAR_NYQUIST * run.finest_angstrom:
        why = (
            f"the map reaches {run.resolution_angstrom:.2f} Å and the images end at {run.finest_angstrom:.2f} Å; what "
            "may help are images with smaller pixels"
        )
    twice = with_more_particles(run, 2)
    if run.finest_angstrom < twice < MORE_PARTICLES * run.resolution_angstrom:
        why += f"; what may help is data: twice the particles would give about {twice:.1f} Å"
    return Advice("stop, and look at the map", why, "postprocess")


def with_more_particles(run: RunFigures, factor: float) -> float:
    """Resolution that more particles would reach by the line through subsets (Rosenthal & Henderson 2003).

    1/d² grows by 2 ln(factor) / B; not a number where B is unknown.
    """
    if not run.decay_angstrom2 > 0:
        return math.nan
    return (run.resolution_angstrom**-2 + 2 * math.log(factor) / run.decay_angstrom2) ** -0.5
