"""Denoise posterior-mean maps with what two half maps have in common."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mlit.denoising.blending import judge
from mlit.denoising.denoised import Denoised
from mlit.denoising.flattening import Flattening
from mlit.denoising.module import MapDenoiser
from mlit.denoising.patches import Pairs
from mlit.denoising.thinning import thin
from mlit.denoising.train import train
from mlit.denoising.working_grid import WorkingGrid
from mlit.fourier.resize import crop_or_pad
from mlit.geometry.map_symmetry import Symmetry
from mlit.maps.filters import filter_by_shells, low_pass
from mlit.maps.references import HalfMaps

FLAT_FROM_ANGSTROM = 40.0  # coarser detail shows where the molecule is, and keeps its weight
LEAST_SHELLS = 8  # between what all maps share and where they agree: fewer are not worth a training


def posterior_halves(halves: HalfMaps, size: int) -> Float[Tensor, "side z y x"]:
    """Half maps weighted by their correlation, masked and cropped: posterior means of the density."""
    weights = halves.signal.float()
    return torch.stack(
        [crop_or_pad(filter_by_shells(m, weights) * halves.mask.mask, size, 3) for m in (halves.first, halves.second)]
    )


def denoise(
    denoiser: MapDenoiser,
    volumes: Float[Tensor, "map z y x"],
    halves: HalfMaps,
    symmetry: Symmetry,
    from_resolution_angstrom: float,
    learn: bool = True,
) -> Denoised:
    """Train the network on the maps and add to them what it has learnt, as far as that can be believed.

    The network sees the very maps that it shall denoise, and learns to predict the unfiltered half map that each of
    them was not made from. Of these it gets one part only (:mod:`mlit.denoising.thinning`); the other part decides how
    much of its corrections is believed.

    Parameters
    ----------
    denoiser
        Trained further, in place, unless told otherwise.
    volumes
        Posterior-mean maps, masked: those of half set 1, then as many of half set 2.
    halves
        Unfiltered half maps around the same centre with the same pixel size.
    symmetry
        Of the maps.
    from_resolution_angstrom
        Coarser detail stays as it is; 0: none.
    learn
        Whether to train.
    """
    grid = WorkingGrid.of(volumes.shape[-1], halves)
    coarsest = from_resolution_angstrom or grid.coarse * grid.pixel_size_angstrom
    first = max(1, math.ceil(grid.shell(coarsest)))
    last = min(int(grid.shell(grid.resolution_angstrom) + 0.5), grid.coarse // 2)
    frequency = torch.arange(grid.coarse // 2 + 1, dtype=torch.float64) / (grid.coarse * grid.pixel_size_angstrom)
    if last - first < LEAST_SHELLS:
        return Denoised.unchanged(volumes, frequency)
    work = _Work.of(volumes, halves, symmetry, grid, denoiser.settings.seed, (first, last))
    denoiser.to(volumes.device)
    if learn:
        train(denoiser, work.pairs())
    correction = work.corrections(denoiser)
    independent = 2 * halves.independent_fraction * (halves.first.shape[-1] / grid.size) ** 3
    aims = work.judge[work.partner] * work.mask
    blend = judge(work.before, correction, aims, min(independent, 2.0), first, last)
    added = work.flattening.restore(filter_by_shells(correction, blend.share)) * work.scale
    mask = crop_or_pad(halves.mask.mask, grid.size, 3)
    maps = torch.stack([v + grid.give_back(a) * mask for v, a in zip(volumes, added, strict=True)])
    return Denoised(maps, frequency, blend, first, last)


@dataclass(frozen=True)
class _Work:
    """What the network sees: flat spectra, one scale for all maps."""

    before: Float[Tensor, "map z y x"]
    learn: Float[Tensor, "side z y x"]
    judge: Float[Tensor, "side z y x"]
    partner: Int[Tensor, " map"]
    mask: Float[Tensor, "z y x"]
    flattening: Flattening
    scale: float
    grid: WorkingGrid

    @classmethod
    def of(
        cls,
        volumes: Float[Tensor, "map z y x"],
        halves: HalfMaps,
        symmetry: Symmetry,
        grid: WorkingGrid,
        seed: int,
        shells: tuple[int, int],
    ) -> "_Work":
        raw = torch.stack([grid.take(half) for half in (halves.first, halves.second)])
        mask = grid.take(halves.mask.mask).clamp(0, 1)
        length = halves.first.shape[-1] * halves.pixel_size_angstrom
        signal = grid.curve(halves.signal.float(), length)
        flat_from = math.ceil(grid.shell(FLAT_FROM_ANGSTROM))
        flattening = Flattening.of_signal(raw.mean(0) * mask, signal, flat_from, shells[1])
        before = flattening.flatten(torch.stack([grid.take(v) for v in volumes]))
        scale = float(before[:, mask > 0.5].std().clamp(min=1e-30))
        thinned = thin(raw, symmetry, grid.pixel_size_angstrom, seed)
        learn, judge = (
            low_pass(flattening.flatten(maps), grid.pixel_size_angstrom, grid.resolution_angstrom) / scale
            for maps in (thinned.learn, thinned.judge)
        )
        partner = torch.arange(len(volumes), device=volumes.device) * 2 // len(volumes)
        return cls(before / scale, learn, judge, 1 - partner, mask, flattening, scale, grid)

    def pairs(self) -> Pairs:
        return Pairs(self.before, self.learn, self.partner, self.mask)

    def corrections(self, denoiser: MapDenoiser) -> Float[Tensor, "map z y x"]:
        """Corrections up to the resolution, masked."""
        corrections = denoiser(self.before) - self.before
        return low_pass(corrections, self.grid.pixel_size_angstrom, self.grid.resolution_angstrom) * self.mask
