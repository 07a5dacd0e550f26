"""Small pictures of tilt images, over which the report draws how they were deformed."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from matplotlib.image import imsave
from torch import Tensor

from mlit.io.atomic import atomic_write

LONGEST_SIDE = 160  # px
CONTRAST = (0.01, 0.99)  # shares of the pixels that are black and not white


def shown_tilts(count: int) -> list[int]:
    """First, middle and last of so many tilts, counted from 0."""
    return sorted({0, count // 2, count - 1})


def picture_path(run: Path, series: str, tilt: int) -> Path:
    """Name the picture of a tilt, which counts from 0 here and from 1 in the name."""
    return run / "figures" / "tilts" / f"{series}_{tilt + 1:03d}.png"


def small_picture(pixels: Float[Tensor, "y x"]) -> UInt8[np.ndarray, "row column"]:
    """Average an image over areas to 160 px along its longer side, and stretch its grey values; row 0 is y = 0."""
    scale = min(1.0, LONGEST_SIDE / max(pixels.shape))
    size = [max(1, round(scale * side)) for side in pixels.shape]
    small = torch.nn.functional.interpolate(pixels[None, None], size=size, mode="area")[0, 0].cpu().double()
    low, high = torch.quantile(small, torch.tensor(CONTRAST, dtype=torch.float64)).tolist()
    shades = ((small - low) / max(high - low, 1e-30)).clamp(0, 1)
    return (255 * shades).round().to(torch.uint8).numpy()


def write_picture(path: Path, shades: UInt8[np.ndarray, "row column"]) -> None:
    """Write it with y upwards."""
    with atomic_write(path) as partial:
        imsave(partial, shades, cmap="gray", vmin=0, vmax=255, origin="lower", format="png")
