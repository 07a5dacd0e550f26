"""The network: a small residual U-Net that works at half the sampling of its input."""

import torch.nn.functional as functional
from jaxtyping import Float
from torch import Tensor, nn


class Block(nn.Module):
    """Two convolutions whose result is added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels, channels, 3, padding=1)
        self.second = nn.Conv3d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "map channel z y x"]) -> Float[Tensor, "map channel z y x"]:
        """Refine features."""
        return x + self.second(functional.silu(self.first(functional.silu(x))))


def silent(layer: nn.Module) -> nn.Module:
    """Let a layer start with an output of zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class ResidualUNet(nn.Module):
    """Map to correction of the map.

    The first convolution halves the sampling and gives features, the last one undoes it; between them every level
    halves the sampling again and has twice the channels. Nothing is normalised by statistics of the input, so a
    voxel depends on its surroundings alone, and maps can be cut into tiles. The last convolution starts at zero: an
    untrained network corrects nothing. So do those that lead up from deeper levels, which join in once they help.

    Parameters
    ----------
    width
        Channels of the first level.
    depth
        Levels below the first one.
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.depth = depth
        widths = [width << level for level in range(depth + 1)]
        self.stem = nn.Conv3d(1, width, 4, stride=2, padding=1)
        self.down = nn.ModuleList(nn.Conv3d(w, 2 * w, 2, stride=2) for w in widths[:-1])
        self.encode = nn.ModuleList(Block(w) for w in widths)
        self.up = nn.ModuleList(silent(nn.ConvTranspose3d(2 * w, w, 2, stride=2)) for w in widths[:-1])
        self.decode = nn.ModuleList(Block(w) for w in widths[:-1])
        self.head = silent(nn.ConvTranspose3d(width, 1, 4, stride=2, padding=1, bias=False))

    @property
    def stride(self) -> int:
        """Edges of an input are multiples of this, and so are the places where it may be cut into tiles."""
        return 2 << self.depth

    @property
    def reach(self) -> int:
        """How far, in voxels, a value of the output can depend on the input, rounded up to the stride."""
        steps = [2 << level for level in range(self.depth + 1)]
        blocks = sum(4 * step for step in steps) - 2 * steps[-1]
        return -(-(4 + blocks + 2 * sum(steps[1:])) // self.stride) * self.stride

    def forward(self, volume: Float[Tensor, "map z y x"]) -> Float[Tensor, "map z y x"]:
        """Correction to add to the maps."""
        x, skipped = self.encode[0](self.stem(volume[:, None])), []
        for down, encode in zip(self.down, self.encode[1:], strict=True):
            skipped.append(x)
            x = encode(down(x))
        for up, decode in zip(reversed(self.up), reversed(self.decode), strict=True):
            x = decode(skipped.pop() + up(x))
        return self.head(functional.silu(x))[:, 0]
