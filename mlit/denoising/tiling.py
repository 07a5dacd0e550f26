"""A network over maps of any size, in tiles that leave no seams."""

import itertools
import math

import torch
import torch.nn.functional as functional
from jaxtyping import Float
from torch import Tensor

from mlit.denoising.network import ResidualUNet
from mlit.parallel import run_pieces

TILE = 96  # voxels along an edge: some hundred MiB of features


def correct(network: ResidualUNet, volumes: Float[Tensor, "map z y x"], tile: int = TILE) -> Float[Tensor, "map z y x"]:
    """Corrections of maps by a network.

    Every tile is computed with as much around it as the network reaches, so the result does not depend on the tiling,
    and memory not on the size of the maps.

    Parameters
    ----------
    network
        On the device of the maps.
    volumes
        Maps with edges of any length.
    tile
        Edge of a tile, rounded up to the stride of the network.
    """
    step = math.ceil(tile / network.stride) * network.stride
    edges = volumes.shape[1:]
    padding = [(-edge) % network.stride for edge in edges]
    padded = functional.pad(volumes, (0, padding[2], 0, padding[1], 0, padding[0]))
    result = torch.empty_like(padded)

    def one(place: tuple[int, ...]) -> None:
        source, target, inside = [], [], []
        for start, edge in zip(place[1:], padded.shape[1:], strict=True):
            stop, first = min(start + step, edge), max(start - network.reach, 0)
            source.append(slice(first, min(stop + network.reach, edge)))
            target.append(slice(start, stop))
            inside.append(slice(start - first, stop - first))
        result[(place[0], *target)] = network(padded[(place[0], *source)][None])[0][tuple(inside)]

    starts = [range(0, edge, step) for edge in padded.shape[1:]]
    with torch.no_grad():
        run_pieces(one, itertools.product(range(len(volumes)), *starts), volumes.device)
    return result[:, : edges[0], : edges[1], : edges[2]]
