"""Which blocks to try, to refine on a finer or coarser grid, or to leave out."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from mlit.project.recommend_advice import Advice, Change
from mlit.project.recommend_figures import RunFigures
from mlit.project.recommend_loss import expected_error, expected_loss, known_blocks, loss

NOTICEABLE = 0.02  # of the amplitude at the finest detail: what is worth a block
PARTICLES_PER_NODE = 2.0  # at least, in a series, where a grid is made finer
FEWEST_PARTICLES_PER_NODE = 0.5  # below which a coarser grid is tried
FINER_GRIDS = (2, 4, 6, 8)  # nodes of an image warp along its longer side
VOLUME_GRIDS = ((3, 3, 2, 8), (2, 2, 1, 8))  # finest first
UNITS = {
    "image_warp": "Å",
    "volume_warp": "Å",
    "stage_angles": "°",
    "defocus": "µm",
    "astigmatism": "µm",
    "magnification": "%",
    "spherical_aberration": "mm",
    "even_aberrations": "°",
    "odd_aberrations": "°",
}


def block_advice(run: RunFigures) -> list[Advice]:
    """List changes of the model that are worth a trial, those that may bring most first."""
    found = [*_to_add(run), *_grids(run), *_to_drop(run)]
    return [advice for _, advice in sorted(found, key=lambda pair: -pair[0]) if not _tried(run, advice.change)]


def _tried(run: RunFigures, change: Change | None) -> bool:
    """Whether this run has judged a change already."""
    return any(_plain(change) == _plain(one) for one in run.compared)


def _plain(change: Change | None) -> dict[str, dict[str, Any]]:
    return {block: {key: _list(value) for key, value in values.items()} for block, values in (change or {}).items()}


def _list(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


def _to_add(run: RunFigures) -> Iterator[tuple[float, Advice]]:
    """Blocks that are switched off, and whose usual errors would show."""
    for block in known_blocks():
        arguments = run.model.get(block, {})
        cost = expected_loss(block, run) if arguments and not arguments["enabled"] else 0.0
        change = _fitting_volume_warp(run) if block == "volume_warp" else {block: {"enabled": True}}
        if cost < NOTICEABLE or change is None:
            continue
        error = f"{expected_error(block, run):.2g} {UNITS[block]}"
        why = (
            f"errors of {error}, as its prior expects, would cost {_percent(cost)} of the amplitude at "
            f"{run.detail_angstrom:.1f} Å"
        )
        yield cost, _trial(f"try {block}", why, change)


def _fitting_volume_warp(run: RunFigures) -> Change | None:
    """Volume warp on the finest grid that a series has particles for."""
    for grid in VOLUME_GRIDS:
        if run.particles_per_series >= PARTICLES_PER_NODE * math.prod(grid[:3]):
            same = grid == tuple(run.model["volume_warp"]["grid"])
            return {"volume_warp": {"enabled": True} if same else {"enabled": True, "grid": list(grid)}}
    return None


def _grids(run: RunFigures) -> Iterator[tuple[float, Advice]]:
    """Yield a finer or coarser image warp."""
    arguments = run.model.get("image_warp", {})
    if "image_warp" not in run.blocks or not arguments.get("enabled"):
        return
    grid = [int(nodes) for nodes in arguments["grid"]]
    density = run.particles_per_series / math.prod(grid)
    finer, coarser = _neighbours(grid)
    if finer and run.particles_per_series >= PARTICLES_PER_NODE * math.prod(finer):
        missed, still_missed = (_missed_between(nodes, arguments) for nodes in (grid, finer))
        gain = loss("image_warp", missed, run) - loss("image_warp", still_missed, run)
        why = (
            f"between {_grid(grid)} nodes its prior expects {missed:.1f} Å that they cannot follow, "
            f"{still_missed:.1f} Å between {_grid(finer)}, and {run.particles_per_series:g} particles in a series "
            "are enough for these"
        )
        if gain >= NOTICEABLE:
            yield gain, _trial("try a finer image warp", why, {"image_warp": {"grid": finer}})
    if coarser and density < FEWEST_PARTICLES_PER_NODE:
        why = (
            f"{run.particles_per_series:g} particles in a series are {density:.2f} for each of the {_grid(grid)} nodes"
        )
        yield 0.0, _trial("try a coarser image warp", why, {"image_warp": {"grid": coarser}})


def _missed_between(grid: list[int], arguments: Mapping[str, Any]) -> float:
    """Deformation between the nodes that these cannot follow, in Å: that of a random walk tied at both of them."""
    spacing = 1 / (max(grid) - 1) if max(grid) > 1 else math.inf
    share = spacing / (3 * float(arguments["smoothness"]))
    return float(arguments["warp_prior_angstrom"]) * math.sqrt(min(1.0, share))


def _neighbours(grid: list[int]) -> tuple[list[int] | None, list[int] | None]:
    """Next finer and next coarser grid of about the same shape."""
    longest = max(grid)

    def scaled(side: int) -> list[int]:
        return [max(2, round(nodes * side / longest)) for nodes in grid]

    finer = next((side for side in FINER_GRIDS if side > longest), None)
    coarser = next((side for side in FINER_GRIDS[::-1] if side < longest), None)
    return (scaled(finer) if finer else None), (scaled(coarser) if coarser else None)


def _to_drop(run: RunFigures) -> Iterator[tuple[float, Advice]]:
    """Yield blocks that have found nothing beyond their errors, and nothing that would show.

    In a run that goes on from another one that only says that they have settled.
    """
    if run.continued:
        return
    for block, found in run.blocks.items():
        if block == "image_warp" or block not in known_blocks() or not run.model[block]["enabled"]:
            continue
        cost = loss(block, found.value, run)
        if found.value < found.error and cost < NOTICEABLE:
            unit = UNITS[block]
            why = (
                f"it has found {found.value:.2g} {unit} where its error bars are {found.error:.2g} {unit}, "
                f"{found.error / found.width:.2f} of its prior, and that is {_percent(cost)} of the amplitude at "
                f"{run.detail_angstrom:.1f} Å"
            )
            yield 0.0, _trial(f"try without {block}", why, {block: {"enabled": False}})


def _trial(what: str, why: str, change: Change) -> Advice:
    return Advice(what, why, change=change)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1g} %"


def _grid(nodes: list[int]) -> str:
    return "×".join(map(str, nodes))
