"""Square patches of an image."""

from jaxtyping import Float, Int
from torch import Tensor


def cut_patches(
    image: Float[Tensor, "y x"], centre: Int[Tensor, "patch 2"], box: int
) -> Float[Tensor, "patch box box"]:
    """Cut boxes whose index ``box // 2`` lies at the given pixels ``(x, y)``; zero outside the image."""
    height, width = image.shape
    patches = image.new_zeros(len(centre), box, box)
    for patch, (x, y) in zip(patches, (centre - box // 2).tolist(), strict=True):
        low_x, low_y = max(x, 0), max(y, 0)
        high_x, high_y = min(x + box, width), min(y + box, height)
        if low_x < high_x and low_y < high_y:
            patch[low_y - y : high_y - y, low_x - x : high_x - x] = image[low_y:high_y, low_x:high_x]
    return patches
