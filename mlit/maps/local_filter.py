"""A map filtered and sharpened from place to place, as far as its half maps agree there."""

import itertools
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.maps.filters import multiply_spectrum
from mlit.maps.local_resolution import LocalResolution

CLASSES = 10
LOW_ANGSTROM = 10.0
LEAST_BANDS = 3
LEAST_POINTS = 20


@dataclass(frozen=True)
class LocalDecay:
    """B factor of a map by its local resolution.

    Attributes
    ----------
    resolution_angstrom
        Mean resolution of the classes in which a B factor could be fitted, fine to coarse.
    decay_angstrom2
        B of the amplitude's decay exp(−B s² / 4) in each of them.
    """

    resolution_angstrom: Float[Tensor, "some"]
    decay_angstrom2: Float[Tensor, "some"]

    def at(self, resolution_angstrom: Float[Tensor, "*grid"], otherwise: float) -> Float[Tensor, "*grid"]:
        """B at a resolution, linear between classes, that of the last one beyond; `otherwise` without any class."""
        if not len(self.resolution_angstrom):
            return torch.full_like(resolution_angstrom, otherwise)
        known = self.resolution_angstrom
        where = torch.searchsorted(known, resolution_angstrom.contiguous()).clamp(1, max(len(known) - 1, 1))
        left, right = where - 1, where.clamp(max=len(known) - 1)
        part = ((resolution_angstrom - known[left]) / (known[right] - known[left]).clamp(min=1e-6)).clamp(0, 1)
        return torch.lerp(self.decay_angstrom2[left], self.decay_angstrom2[right], part)


def local_decay(local: LocalResolution, low_angstrom: float = LOW_ANGSTROM) -> LocalDecay:
    """Fit a B factor to each class of points of like resolution.

    The power of the signal is the mean product of both half maps in each band, so that noise adds nothing to it. A
    straight line is fitted to half its logarithm over squared frequency, from 10 Å to the resolution of the class.
    Classes with fewer than three bands in that range are left out.
    """
    points = local.resolution_angstrom[local.inside & local.resolved[0]]
    edges = torch.quantile(points.double(), torch.linspace(0, 1, CLASSES + 1).double()) if len(points) else []
    found = []
    for low, high in itertools.pairwise(edges):
        members = local.inside & local.resolved[0]
        members = members & (local.resolution_angstrom >= low) & (local.resolution_angstrom <= high)
        if int(members.sum()) < LEAST_POINTS:
            continue
        mean = float(local.resolution_angstrom[members].mean())
        frequency, power = local.frequency_per_angstrom, local.signal_power[:, members].mean(1)
        fitted = (frequency >= 1 / low_angstrom) & (frequency <= 1 / mean) & (power > 0)
        if int(fitted.sum()) < LEAST_BANDS:
            continue
        x, y = frequency[fitted].double().square(), power[fitted].double().log() / 2
        slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
        found.append((mean, -4 * float(slope)))
    table = torch.tensor(found).reshape(-1, 2)
    return LocalDecay(table[:, 0].contiguous(), table[:, 1].contiguous())


def filter_locally(
    volume: Float[Tensor, "z y x"], local: LocalResolution, gain_angstrom2: Float[Tensor, "new_z new_y new_x"]
) -> Float[Tensor, "z y x"]:
    """Weigh every frequency band of a map from place to place.

    A band counts by 2 F / (1 + F) where it is resolved, F being its local correlation, and not at all elsewhere. The
    lowest band, which is not judged, is kept as it is.

    Parameters
    ----------
    volume
        Map to filter.
    local
        Local resolution and correlation.
    gain_angstrom2
        For each point of the grid: bands are multiplied by exp(gain · s² / 4) besides.
    """
    grid = local.grid
    lowest = replace(local.bands[0], length_angstrom=grid.box * grid.pixel_size_angstrom, size=grid.box)
    base = multiply_spectrum(volume, lowest.weight())
    spectrum = torch.fft.rfftn(grid.cut(volume))
    detail = torch.zeros_like(spectrum)
    for number, band in enumerate(local.bands[1:]):
        signal = local.correlation[number].clamp(0, 1)
        weight = torch.where(local.resolved[number], 2 * signal / (1 + signal), 0.0)
        if not weight.any():
            break
        weight = weight * torch.exp(gain_angstrom2 * (float(local.frequency_per_angstrom[number]) ** 2 / 4))
        part = band.part(spectrum, grid.size) * grid.interpolate(weight, band.size)
        detail += band.back(part, grid.size)
    whole = grid.paste(torch.fft.irfftn(detail, s=(grid.size,) * 3), torch.zeros_like(volume))
    return base + whole
