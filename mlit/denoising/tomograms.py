"""Denoise two half tomograms with what they have in common."""

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.denoising.module import MapDenoiser
from mlit.denoising.patches import Pairs
from mlit.denoising.train import train


def denoise_tomograms(
    denoiser: MapDenoiser, halves: Float[Tensor, "side z y x"], learn: bool = True
) -> Float[Tensor, "side z y x"]:
    """Train the network to predict each half from the other, and apply it to both.

    Nothing is weighted, masked or flattened: a tomogram has no resolution of its own, and no molecule in its middle.
    Both halves are brought to the mean and spread that they have together.

    Parameters
    ----------
    denoiser
        Trained further, in place, unless told otherwise.
    halves
        Tomograms of the odd and the even frames, of any shape.
    learn
        Whether to train.
    """
    mean, spread = float(halves.mean()), float(halves.std().clamp(min=1e-30))
    scaled = (halves - mean) / spread
    denoiser.to(halves.device)
    if learn:
        everywhere = torch.ones_like(scaled[0])
        train(denoiser, Pairs(scaled, scaled, torch.tensor([1, 0], device=halves.device), everywhere))
    return denoiser(scaled) * spread + mean
