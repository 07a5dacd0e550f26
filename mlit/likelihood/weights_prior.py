"""What is expected of weights before any image was looked at, but for the widths of it."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

BFACTOR_UNIT = 100.0  # Å²: parameters are of the size of one
BELIEF = 3  # parameters that the first guess of a width is worth


@dataclass(frozen=True)
class Widths:
    """Standard deviations of logarithms of amplitudes, of B factors, and of their anisotropy (both in units of 100 Å²).

    Attributes
    ----------
    curves, places
        Of what depends on dose and angle beyond what is expected, and on the place in the image.
    series, tilt
        Of whole series, and of their tilts besides.
    rings
        Of the logarithm of what all images share in a ring.
    """

    curves: tuple[float, ...] = (0.3, 1.0)
    places: tuple[float, ...] = (0.2, 0.5)
    series: tuple[float, ...] = (0.3, 0.8, 0.3)
    tilt: tuple[float, ...] = (0.15, 0.4, 0.2)
    rings: float = 1.0

    def of_item(self, basis: int, tilts: int) -> Float[Tensor, " a"]:
        """Widths of the parameters of a series, then of each of its tilts."""
        kinds = torch.tensor([0, 1, 2, 2])[:basis]
        series, tilt = (torch.tensor(width, dtype=torch.float64)[kinds] for width in (self.series, self.tilt))
        return torch.cat([series, tilt.repeat(tilts)])

    def of_shared(self, rings: int, curves: int, places: int) -> Float[Tensor, " shared"]:
        """Widths of the parameters that all series share: rings, curves, places."""
        widths = [torch.tensor(width, dtype=torch.float64) for width in ((self.rings,), self.curves, self.places)]
        return torch.cat([w.repeat(n) for w, n in zip(widths, (rings, curves // 2, places), strict=True)])

    def change(self, before: "Widths") -> float:
        """Largest relative change of a width that is learnt."""
        pairs = ((self.curves, before.curves), (self.series, before.series), (self.tilt, before.tilt))
        return max(abs(now / then - 1) for one, other in pairs for now, then in zip(one, other, strict=True))

    def learnt(
        self,
        curves: Float[Tensor, "function 2"],
        series: Float[Tensor, "series basis"],
        tilt: Float[Tensor, "entry basis"],
    ) -> "Widths":
        """Widths under which parameters of these expected squares are most probable; with few, nearer to these."""
        return replace(
            self,
            curves=_learnt(self.curves, curves),
            series=_learnt(self.series, series),
            tilt=_learnt(self.tilt, tilt),
        )


def _learnt(guess: tuple[float, ...], square: Float[Tensor, "entry basis"]) -> tuple[float, ...]:
    kinds = [square[:, 0], square[:, 1], square[:, 2:]]
    return tuple(
        ((BELIEF * first**2 + float(values.sum())) / (BELIEF + values.numel())) ** 0.5
        for first, values in zip(guess, kinds, strict=False)
    )
