"""What the images of a series say about the strength of their signal, summed over particles.

With the reference scaled by m at a frequency, the log-likelihood of what an image holds there is ``m cross - m² power /
2``. Sums of both over particles are all that an estimate of weights needs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mlit.deformation.local_coordinates import View
from mlit.likelihood.chunk import bring_up_to_date, images_per_chunk
from mlit.likelihood.columns import model_alone
from mlit.likelihood.matches import Batch, Matches
from mlit.parallel import run_pieces


@dataclass(frozen=True)
class Rings:
    """Bins of frequency: rings of equal width, cut into sectors where directions matter.

    Attributes
    ----------
    finest_per_angstrom
        Outer edge of the last ring.
    count, sectors
        Rings, and sectors of half a turn in each; the other half is the mirror image.
    """

    SECTORS = 6  # of half a turn, where directions are told apart

    finest_per_angstrom: float
    count: int = 16
    sectors: int = 1

    @property
    def bins(self) -> int:
        """Number of bins."""
        return self.count * self.sectors

    def bin_of(self, frequency: Float[Tensor, "pixel 2"]) -> Int[Tensor, " pixel"]:
        """Bin of frequencies x, y in 1/Å."""
        x, y = frequency.unbind(-1)
        ring = (torch.hypot(x, y) / self.finest_per_angstrom * self.count).long().clamp(max=self.count - 1)
        turn = torch.atan2(y, x) / math.pi % 1
        return ring * self.sectors + (turn * self.sectors).round().long() % self.sectors

    def centres(self) -> Float[Tensor, "bin 2"]:
        """Frequency x, y in the middle of each bin."""
        ring, sector = torch.arange(self.bins, dtype=torch.float64).div(self.sectors).floor(), torch.arange(self.bins)
        inner, outer = (edge / self.count * self.finest_per_angstrom for edge in (ring, ring + 1))
        radius = ((inner.square() + outer.square()) / 2).sqrt()  # of the mean k² over the area
        angle = math.pi * (sector % self.sectors) / self.sectors
        return radius[:, None] * torch.stack([torch.cos(angle), torch.sin(angle)], -1)


@dataclass(frozen=True)
class SignalTable:
    """Sums over the particles of one series.

    Attributes
    ----------
    cross
        Real part of the product of references and images over the noise.
    power
        Power of the references over the noise.
    """

    cross: Float[Tensor, "tilt place bin"]
    power: Float[Tensor, "tilt place bin"]

    @classmethod
    def joined(cls, parts: Sequence["SignalTable"]) -> "SignalTable":
        """Add up tables of different particles."""
        cross, power = (torch.stack([getattr(part, name) for part in parts]).sum(0) for name in ("cross", "power"))
        return cls(cross, power)

    def without_noise(
        self, followed: Float[Tensor, " tilt"], scale: Float[Tensor, "tilt bin"], frequency: Float[Tensor, " bin"]
    ) -> "SignalTable":
        """Take away what poses and hyperparameters have gained by following the noise of the images.

        It lies where the fit looks: shifts and rotations change what is known in a bin in proportion to k² times the
        power of the signal there.

        Parameters
        ----------
        followed
            Sum over particles of what each image has gained, see :class:`mlit.likelihood.objective.Posterior`.
        scale
            What scaled the references in the fit.
        frequency
            Of the bins, 1/Å.
        """
        looked = frequency.square() * scale[:, None] * self.power
        total = (looked * scale[:, None]).sum((1, 2), keepdim=True)
        gained = followed[:, None, None] * looked / total.clamp(min=torch.finfo(total.dtype).tiny)
        return SignalTable(self.cross - gained, self.power)


@dataclass(frozen=True)
class Sorting:
    """Where in a table each image belongs, and how much it counts.

    Attributes
    ----------
    rings
        Bins of frequency.
    place, places
        Place of each image, and how many there are.
    weight
        How much each particle counts.
    """

    rings: Rings
    place: Int[Tensor, "particle tilt"]
    places: int
    weight: Float[Tensor, " particle"]

    def of(self, some: Int[Tensor, " some"]) -> "Sorting":
        """Return that of some particles."""
        return Sorting(self.rings, self.place[some], self.places, self.weight[some])


@torch.no_grad()
def tabulate(matches: Matches, view: View, sorting: Sorting) -> SignalTable:
    """Compare all images of a series with their references, bin by bin.

    Parameters
    ----------
    matches
        Premultiplied images and references. What images are cut with counts: cut flat, the table says what the whole
        signal is.
    view
        Where the particles are.
    sorting
        Where in the table they belong.
    """
    return SignalTable.joined(
        [_sums(batch, view.of(batch.particles), sorting.of(batch.particles)) for batch in matches]
    )


def _sums(batch: Batch, view: View, sorting: Sorting) -> SignalTable:
    """Tabulate one batch."""
    images, bins, places = batch.images, sorting.rings.bins, sorting.places
    tilts = images.valid.shape[1]
    which = images.valid.flatten().nonzero().squeeze(1)
    own_bin = sorting.rings.bin_of(images.pixels.frequency)
    into = (own_bin[:, None] == torch.arange(bins, device=own_bin.device)).float()
    changes = None if images.watched is None else images.watched.phase_changes(view.aberrations)

    def look_at(part: Tensor) -> Tensor:
        particle, tilt = part // tilts, part % tilts
        chunk = bring_up_to_date(images, view, particle, tilt, changes)
        model = model_alone(images, view, batch.table, batch.map_index[particle], particle, tilt)
        products = torch.stack([(model * chunk.data_of(model)).sum(1), (model * chunk.weighted(model)).sum(1)])
        sums = (products @ into).cpu().double() * sorting.weight[particle, None]
        out = sums.new_zeros(2, tilts * places, bins)
        return out.index_add_(1, tilt * places + sorting.place[particle, tilt], sums)

    parts = run_pieces(look_at, which.split(images_per_chunk(images)), images.data.device)
    zero = torch.zeros(2, tilts * places, bins, dtype=torch.float64)
    cross, power = (sum(parts, zero) * (2 / images.pixels.area_square_angstrom)).unflatten(1, (tilts, places))
    return SignalTable(cross, power)
