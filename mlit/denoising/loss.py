"""What the network is trained to make small, and its gradient."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mlit.denoising.patches import Patches
from mlit.parallel import run_pieces


def mean_square(correction: Float[Tensor, "map z y x"], batch: Patches, patches: int) -> Float[Tensor, ""]:
    """Weighted mean square of what corrected patches miss of their targets, over a batch of so many patches."""
    missing = batch.source + correction - batch.target
    return (batch.weight * missing.square()).sum() / (patches * batch.weight[0].numel())


def piecewise_gradients(network: nn.Module, batch: Patches) -> tuple[float, list[Tensor]]:
    """Loss of a batch and its gradient, patch by patch on a CPU.

    Gradients are added in the order of the patches, so that they are the same on any number of cores.
    """
    parameters = list(network.parameters())
    patches = len(batch.source)
    pieces = batch.split() if batch.source.device.type == "cpu" else [batch]

    def one(piece: Patches) -> tuple[float, tuple[Tensor, ...]]:
        loss = mean_square(network(piece.source), piece, patches)
        return float(loss.detach()), torch.autograd.grad(loss, parameters)

    results = run_pieces(one, pieces, batch.source.device)
    gradients = [torch.stack(parts).sum(0) for parts in zip(*(parts for _, parts in results), strict=True)]
    return sum(loss for loss, _ in results), gradients
