"""Parts of tilt images that hardly any electrons have reached: behind a bar of the grid or an aperture."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float
from torch import Tensor

from mlit.parallel import run_pieces

LEAST_RATIO = 4.0  # of the noise in the light to that in the shade
LEAST_SEPARATION = 4.0  # of the two in logarithms, over their spread; two halves of one normal distribution have 2.6
DARKEST = 0.01  # of the mean noise of an image: what is darker still, as blank parts are, sets no standard
LEAST_PARTICLES = 0.2  # share of the particles that must lie in the light


@dataclass(frozen=True)
class Shade:
    """Which square tiles of the tilt images lie in the shade.

    Attributes
    ----------
    tiles
        True in the shade, the rim of the shade included.
    side
        Side of a tile in pixels.
    """

    tiles: Bool[Tensor, "tilt ytile xtile"]
    side: int

    @classmethod
    def find(cls, images: Float[Tensor, "tilt y x"], xy_pixels: Float[Tensor, "particle tilt 2"], side: int) -> "Shade":
        """Part the tiles of each image into two groups of different noise, where there are two.

        Electrons are counted, so the variance of neighbouring pixels is proportional to the electrons that came,
        whatever was added to an image or multiplied with it since. Thick and thin ice differ in it by less than a bar
        and its surroundings. Places without any sample are brighter still, so only a light that falls on particles
        makes a shade of the rest. Images without any noise show nothing and are all shade.

        Parameters
        ----------
        images
            Tilt images as they were read.
        xy_pixels
            Where particles are.
        side
            Side of the tiles in pixels.
        """
        side = min(side, *images.shape[1:])
        variance = torch.stack(
            run_pieces(lambda tilt: _noise_variance(images[tilt], side), range(len(images)), images.device)
        )
        height, width = images.shape[1:]
        inside = ((xy_pixels >= 0) & (xy_pixels < xy_pixels.new_tensor([width, height]))).all(-1)
        dark = torch.stack([_darker(tiles) for tiles in variance])
        lit = (inside & ~cls(dark, side).at(xy_pixels)).sum(0) >= LEAST_PARTICLES * inside.sum(0)
        dark &= lit[:, None, None]
        rim = F.max_pool2d(dark[:, None].float(), 3, stride=1, padding=1)[:, 0] > 0
        blank = (variance == 0).all(-1).all(-1)
        return cls(rim | blank[:, None, None], side)

    def at(self, xy_pixels: Float[Tensor, "particle tilt 2"]) -> Bool[Tensor, "particle tilt"]:
        """Whether places in the images lie in the shade; what is outside the image counts as its rim."""
        rows, columns = self.tiles.shape[1:]
        x, y = (xy_pixels / self.side).floor().long().unbind(-1)
        tilt = torch.arange(len(self.tiles), device=self.tiles.device)
        return self.tiles[tilt, y.clamp(0, rows - 1), x.clamp(0, columns - 1)]

    def pixels(self, tilt: int, height: int, width: int) -> Bool[Tensor, "y x"]:
        """Shade of one tilt, pixel by pixel; pixels beyond the last whole tile belong to that."""
        row, column = (
            (torch.arange(size, device=self.tiles.device) // self.side).clamp(max=count - 1)
            for size, count in zip((height, width), self.tiles.shape[1:], strict=True)
        )
        return self.tiles[tilt][row[:, None], column]


def _darker(variance: Float[Tensor, "ytile xtile"]) -> Bool[Tensor, "ytile xtile"]:
    """Tiles of the darker group, where there are two."""
    logarithm = variance.clamp(min=DARKEST * float(variance.mean().clamp(min=1e-30))).log()
    return logarithm < _parting(logarithm.flatten())


def _parting(values: Float[Tensor, " tile"]) -> Float[Tensor, ""]:
    """Value that parts two groups, where there are two; else minus infinity.

    Otsu's criterion: of all ways to cut the sorted values in two, the one with the largest variance between groups.
    """
    ordered = values.double().sort().values
    count = len(ordered)
    below = torch.arange(1, count, device=values.device)
    low = ordered.cumsum(0)[:-1] / below
    high = (ordered.sum() - ordered.cumsum(0)[:-1]) / (count - below)
    between = below * (count - below) / count**2 * (high - low).square()
    best = int(between.argmax()) if count > 1 else 0
    if count < 2 or high[best] - low[best] < math.log(LEAST_RATIO):
        return values.new_tensor(-torch.inf)
    within = (ordered.var(unbiased=False) - between[best]).clamp(min=0).sqrt()
    parted = high[best] - low[best] > LEAST_SEPARATION * within
    return values.new_tensor(float(low[best] + high[best]) / 2 if parted else -torch.inf)


def _noise_variance(image: Float[Tensor, "y x"], side: int) -> Float[Tensor, "ytile xtile"]:
    """Variance of white noise in each tile, from differences along y of differences along x.

    These see the finest detail alone, where molecules show least.
    """
    detail = image.diff(dim=0).diff(dim=1)
    detail = torch.cat([detail, detail[-1:]])
    detail = torch.cat([detail, detail[:, -1:]], 1)
    return F.avg_pool2d(detail.square()[None] / 4, side)[0]
