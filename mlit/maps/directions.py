"""Directions in Fourier space: evenly spread axes, and cells into which coefficients are sorted.

The half of a transform that ``rfftn`` keeps is the half sphere about the x axis. It is cut into cells of three
degrees, by the angle from x and the angle about x, so that sums over any cone follow from one pass over the map.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

CELL_RAD = math.radians(3.0)
POLAR, AZIMUTH = 30, 120
CELLS = POLAR * AZIMUTH
PLANES_PER_BLOCK = 16
GOLDEN_ANGLE_RAD = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True)
class Block:
    """Some planes of a transform in the ``rfftn`` layout.

    Attributes
    ----------
    planes
        Which ones, along z.
    radius
        Frequency in cycles per box.
    cell
        Cell of each coefficient.
    """

    planes: slice
    radius: Float[Tensor, "z y x"]
    cell: Int[Tensor, "z y x"]


def even_directions(count: int) -> Float[Tensor, "direction 3"]:
    """Axes x, y, z that cover the half sphere about x evenly, on a spiral (float64)."""
    number = torch.arange(count, dtype=torch.float64)
    along = (number + 0.5) / count
    across = (1 - along.square()).sqrt()
    turn = number * GOLDEN_ANGLE_RAD
    return torch.stack([along, across * turn.cos(), across * turn.sin()], -1)


def cell_axes() -> Float[Tensor, "cell 3"]:
    """Axis x, y, z through the middle of every cell (float64)."""
    number = torch.arange(CELLS, dtype=torch.float64)
    polar = ((number // AZIMUTH) + 0.5) * CELL_RAD
    azimuth = (number % AZIMUTH + 0.5) * CELL_RAD
    return torch.stack([polar.cos(), polar.sin() * azimuth.cos(), polar.sin() * azimuth.sin()], -1)


def angle_between(first: Float[Tensor, "row 3"], second: Float[Tensor, "column 3"]) -> Float[Tensor, "row column"]:
    """Angle between axes without a sign, 0 to π/2."""
    return (first @ second.T).abs().clamp(max=1).acos()


def blocks(n: int, device: torch.device | str = "cpu", part: int = 0, parts: int = 1) -> Iterator[Block]:
    """Go through the transform of a cube of `n` pixels, a few planes at a time to bound the memory.

    Parameters
    ----------
    n
        Edge in pixels.
    device
        Where the results lie.
    part, parts
        Every how many-th block to yield, from which on: disjoint parts are for several threads.
    """
    full = torch.fft.fftfreq(n, 1.0 / n, device=device)
    x = torch.fft.rfftfreq(n, 1.0 / n, device=device)
    for start in range(part * PLANES_PER_BLOCK, n, parts * PLANES_PER_BLOCK):
        planes = slice(start, min(start + PLANES_PER_BLOCK, n))
        z, y = full[planes, None, None], full[:, None]
        across = (z.square() + y.square()).sqrt()
        polar = (torch.atan2(across, x) / CELL_RAD).long().clamp(max=POLAR - 1)
        azimuth = (torch.atan2(z, y) / CELL_RAD).floor().long() % AZIMUTH
        yield Block(planes, (across.square() + x.square()).sqrt(), polar * AZIMUTH + azimuth)
