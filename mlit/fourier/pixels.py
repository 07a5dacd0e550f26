"""The Fourier pixels of a square box that carry information up to a resolution."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class FourierPixels:
    """Half-plane Fourier pixels inside a resolution circle, origin left out.

    Each pair of Friedel mates is present once, so that a sum over the pixels times two is the sum over
    the plane. Pixels are ordered by shell, which keeps neighbours in memory neighbours in Fourier space.

    Attributes
    ----------
    box
        Side of the box in pixels (even).
    pixel_size_angstrom
        Pixel size of the box.
    index
        Position of each pixel in a flattened ``rfft2`` array of shape ``(box, box // 2 + 1)``.
    frequency
        ``(kx, ky)`` of each pixel in 1/Å.
    """

    box: int
    pixel_size_angstrom: float
    index: Int[Tensor, " pixel"]
    frequency: Float[Tensor, "pixel 2"]

    @classmethod
    def inside(
        cls,
        box: int,
        pixel_size_angstrom: float,
        resolution_angstrom: float,
        device: torch.device | str = "cpu",
    ) -> "FourierPixels":
        """Pixels of a box with ``0 < |k| <= 1 / resolution`` and ``|k|`` below the Nyquist frequency."""
        ky = torch.fft.fftfreq(box, 1 / box, dtype=torch.float64)[:, None].expand(box, box // 2 + 1)
        kx = torch.arange(box // 2 + 1, dtype=torch.float64).expand(box, -1)
        radius = torch.hypot(kx, ky)
        limit = min(box * pixel_size_angstrom / resolution_angstrom, box / 2 - 0.5)
        keep = (radius > 0) & (radius <= limit) & ((kx > 0) | (ky > 0))
        index = keep.flatten().nonzero().squeeze(1)
        order = torch.argsort(radius.flatten()[index].round() * 1e6 + index)
        index = index[order]
        frequency = torch.stack([kx.flatten()[index], ky.flatten()[index]], -1) / (box * pixel_size_angstrom)
        return cls(box, pixel_size_angstrom, index.to(device), frequency.float().to(device))

    @cached_property
    def highest_frequency(self) -> float:
        """Largest spatial frequency among the pixels in 1/Å."""
        return float(self.radius.max()) if self.count else 0.0

    @property
    def count(self) -> int:
        """Number of pixels."""
        return self.index.shape[0]

    @property
    def area_square_angstrom(self) -> float:
        """Area of the box: the sum over the Fourier plane divided by it is an integral over the image."""
        return (self.box * self.pixel_size_angstrom) ** 2

    @property
    def radius(self) -> Float[Tensor, " pixel"]:
        """Spatial frequency of each pixel in 1/Å."""
        return self.frequency.norm(dim=-1)
