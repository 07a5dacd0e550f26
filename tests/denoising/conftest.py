"""A density with sharp edges, half maps of it, and a network small enough for tests."""

from dataclasses import dataclass

import pytest
import torch

from mlit.denoising.half_maps import denoise, posterior_halves
from mlit.denoising.module import MapDenoiser
from mlit.denoising.settings import DenoiserSettings
from mlit.geometry.map_symmetry import NO_SYMMETRY
from mlit.maps.filters import low_pass
from mlit.maps.mask import MaskResult, spherical_mask
from mlit.maps.references import HalfMaps

SIZE, PIXEL = 40, 5.0
MASK = spherical_mask(SIZE, PIXEL, 130.0, 20.0)


@dataclass(frozen=True)
class Case:
    """Half maps, the density in them, and what the network makes of them."""

    truth: torch.Tensor
    halves: HalfMaps
    before: torch.Tensor
    denoiser: MapDenoiser
    after: torch.Tensor
    gain: float


def network(**changes) -> MapDenoiser:
    """A small network with its training."""
    settings = {"width": 8, "depth": 0, "patch": 16, "steps": 300, "fine_tune_steps": 20, "learning_rate": 1e-2}
    return MapDenoiser(DenoiserSettings(**(settings | changes)))


def density() -> torch.Tensor:
    """Walls and rods in a sphere: what a linear filter cannot describe."""
    generator = torch.Generator().manual_seed(3)
    axis = (torch.arange(SIZE) - SIZE // 2) * PIXEL
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).float()
    inside = torch.zeros(SIZE, SIZE, SIZE)
    for _ in range(30):
        along = torch.nn.functional.normalize(torch.randn(3, generator=generator), dim=0)
        through = torch.randn(3, generator=generator) * 30
        offset = points - through
        across = (offset - (offset @ along)[..., None] * along).norm(dim=-1)
        inside += (across < 7).float()
    return low_pass(inside.clamp(max=1) * MASK, PIXEL, 11.0)


def judged(truth: torch.Tensor, noise: float, seed: int = 5) -> HalfMaps:
    """Half maps with white noise of a width relative to that of the density in the mask."""
    generator = torch.Generator().manual_seed(seed)
    width = noise * float(density()[MASK > 0.5].std())
    first, second = (truth + width * torch.randn(truth.shape, generator=generator) for _ in range(2))
    return HalfMaps.judge(first, second, PIXEL, MaskResult(MASK, "sphere", float(MASK.mean())), seed=1)


def run(truth: torch.Tensor, halves: HalfMaps, denoiser: MapDenoiser) -> Case:
    """Train and apply a network."""
    before = posterior_halves(halves, SIZE)
    result = denoise(denoiser, before, halves, NO_SYMMETRY, 0.0)
    return Case(truth, halves, before, denoiser, result.maps, result.gain)


@pytest.fixture(scope="session")
def molecule() -> Case:
    """Half maps of a molecule, denoised."""
    truth = density()
    return run(truth, judged(truth, 2.0), network())
