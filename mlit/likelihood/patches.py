"""Square patches of an image."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def cut_patches(
    image: Float[Tensor, "y x"], centre: Int[Tensor, "patch 2"], box: int
) -> Float[Tensor, "patch box box"]:
    """Cut boxes whose index ``box // 2`` lies at the given pixels ``(x, y)``; zero outside the image.

    The pixels are given on the CPU, wherever the image lies.
    """
    if image.device.type != "cpu":
        return _gathered(image, centre.to(image.device) - box // 2, box)
    height, width = image.shape
    patches = image.new_zeros(len(centre), box, box)
    for patch, (x, y) in zip(patches, (centre - box // 2).tolist(), strict=True):
        low_x, low_y = max(x, 0), max(y, 0)
        high_x, high_y = min(x + box, width), min(y + box, height)
        if low_x < high_x and low_y < high_y:
            patch[low_y - y : high_y - y, low_x - x : high_x - x] = image[low_y:high_y, low_x:high_x]
    return patches


def _gathered(image: Float[Tensor, "y x"], corner: Int[Tensor, "patch 2"], box: int) -> Float[Tensor, "patch box box"]:
    """Cut all boxes at once, which takes one operation instead of one for each box."""
    along = torch.arange(box, device=image.device)
    x, y = corner[:, 0, None] + along, corner[:, 1, None] + along
    height, width = image.shape
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None]
    found = image[y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None]]
    return found.masked_fill(~inside, 0.0)
