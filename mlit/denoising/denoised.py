"""Maps after the network, and what it brought."""

from dataclasses import dataclass, replace

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from mlit.denoising.blending import Blend
from mlit.fourier.resize import crop_or_pad


@dataclass(frozen=True)
class Denoised:
    """Maps after the network.

    Attributes
    ----------
    maps
        The maps that were given, each with the believed share of its correction.
    frequency_per_angstrom
        Of the shells of `blend`.
    blend
        How much of the corrections was believed, and what they bring.
    first, last
        Shells between which there was anything to decide.
    """

    maps: Float[Tensor, "map z y x"]
    frequency_per_angstrom: Float[Tensor, " shell"]
    blend: Blend
    first: int
    last: int

    @classmethod
    def unchanged(cls, maps: Float[Tensor, "map z y x"], frequency_per_angstrom: Float[Tensor, " shell"]) -> "Denoised":
        """Keep maps that are too coarse for a network."""
        ones = torch.ones(len(frequency_per_angstrom))
        return cls(maps, frequency_per_angstrom, Blend(0 * ones, ones), 1, 0)

    @property
    def gain(self) -> float:
        """Mean factor by which the correlation with the density rises."""
        return float(self.blend.gain[self.first : self.last + 1].mean()) if self.last >= self.first else 1.0

    @property
    def share(self) -> float:
        """Mean share of the corrections that was added."""
        return float(self.blend.share[self.first : self.last + 1].mean()) if self.last >= self.first else 0.0

    def padded(self, size: int) -> "Denoised":
        """Put the maps into a larger box."""
        return replace(self, maps=crop_or_pad(self.maps, size, 3))

    def __str__(self) -> str:
        """Say in one line what the network brings."""
        if self.last < self.first:
            return "denoiser: maps are too coarse for it"
        low, high = (1 / float(self.frequency_per_angstrom[shell]) for shell in (self.first, self.last))
        gain = f"correlation with the density {100 * (self.gain - 1):+.1f} % from {low:.0f} to {high:.1f} Å"
        return f"denoiser: {gain}; {100 * self.share:.0f} % of its corrections taken"

    def summary(self) -> dict[str, float]:
        """Figures for the summary of a run."""
        return {"correlation_gain": self.gain, "share_taken": self.share}

    def table(self) -> pd.DataFrame:
        """List what was decided in each shell, and what it brings."""
        shells = slice(self.first, self.last + 1)
        columns = (1 / self.frequency_per_angstrom, self.blend.share.cpu(), self.blend.gain.cpu())
        names = ("resolution_angstrom", "share_taken", "correlation_gain")
        return pd.DataFrame({name: column[shells].numpy() for name, column in zip(names, columns, strict=True)})
