"""Square patches of an image."""

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from torch import Tensor


def cut_patches(
    image: Float[Tensor, "y x"], centre: Int[Tensor, "patch 2"], box: int
) -> Float[Tensor, "patch box box"]:
    """Cut boxes whose index ``box // 2`` lies at the given pixels ``(x, y)``; zero outside the image."""
    height, width = image.shape
    padded = F.pad(image, (box, box, box, box))
    left = (centre[:, 0] - box // 2 + box).clamp(0, width + box).tolist()
    top = (centre[:, 1] - box // 2 + box).clamp(0, height + box).tolist()
    if not left:
        return image.new_zeros(0, box, box)
    return torch.stack([padded[y : y + box, x : x + box] for x, y in zip(left, top, strict=True)])
