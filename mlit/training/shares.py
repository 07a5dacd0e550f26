"""Which tilt series each process of a run refines."""

import heapq
from collections.abc import Sequence

from mlit.project.project import SeriesInput


def cost(series: SeriesInput, box: float) -> float:
    """Work that a series makes, in pixels that one pass over its particle images reads.

    Parameters
    ----------
    series
        The series.
    box
        Side of a particle image in pixels.
    """
    return len(series.particle_index) * int(series.use_tilt.sum()) * box**2


def shares(costs: Sequence[float], processes: int) -> list[list[int]]:
    """Share pieces of work out: the longest goes first, each to the process with the least so far.

    No share is longer than 4/3 of the longest in the best way to do it (Graham 1969). The same costs always make the
    same shares. A process gets nothing where there are fewer pieces than processes.

    Parameters
    ----------
    costs
        Of each piece.
    processes
        Number of shares.

    Returns
    -------
    Numbers of the pieces of each process, ascending.
    """
    load = [(0.0, process) for process in range(processes)]
    out: list[list[int]] = [[] for _ in range(processes)]
    for piece in sorted(range(len(costs)), key=lambda index: -costs[index]):
        work, process = heapq.heappop(load)
        out[process].append(piece)
        heapq.heappush(load, (work + costs[piece], process))
    return [sorted(pieces) for pieces in out]
