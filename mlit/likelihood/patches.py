"""Square patches of an image."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def cut_patches(
    image: Float[Tensor, "y x"], centre: Int[Tensor, "patch 2"], box: int
) -> Float[Tensor, "patch box box"]:
    """Cut boxes whose index ``box // 2`` lies at the given pixels ``(x, y)``; zero outside the image."""
    height, width = image.shape
    steps = torch.arange(box, device=image.device) - box // 2
    x, y = centre[:, 0, None] + steps, centre[:, 1, None] + steps
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
    values = image[y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None, :]]
    return torch.where(inside, values, values.new_zeros(()))
