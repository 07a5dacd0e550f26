"""Error bars are as large as errors: every block alone, refined again and again from images with noise.

The true parameters are drawn from the prior, so that errors and error bars must agree in the mean, whatever the images
say. Images say enough here for the error bars to be far below the widths of the priors, which in turn are narrow enough
for the start to lie below the right peak of the likelihood. Particles that move have three samples, and every part of
their exposure sees the sample from both sides: a curve through three samples bends where they no longer rise or fall
together, and errors as large as the motion would not be Gaussian. All figures are in the units that users see.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import Tensor

from mlit.deformation.astigmatism import Astigmatism
from mlit.deformation.block import Block
from mlit.deformation.defocus import Defocus
from mlit.deformation.even_aberrations import EvenAberrations
from mlit.deformation.image_warp import ImageWarp
from mlit.deformation.imaging import Imaging
from mlit.deformation.magnification import Magnification
from mlit.deformation.odd_aberrations import OddAberrations
from mlit.deformation.phase_shift import PhaseShift
from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.registry import BLOCKS
from mlit.deformation.series_model import SeriesModel
from mlit.deformation.spherical_aberration import SphericalAberration
from mlit.deformation.stage_angles import StageAngles
from mlit.deformation.trajectories import make_poses
from mlit.deformation.volume_warp import VolumeWarp
from mlit.geometry.trajectory import normalised_dose
from mlit.optim.solvers import GaussNewton
from tests.brute_force import Blobs
from tests.simulated import Setting, aberrated_imaging, draw_from_prior, reset

SIDE, PIXEL, DETAIL, BOX = 360.0, 2.0, 5.0, 80.0
SIGNAL = 500.0
PLACES = ((90.0, 90, 40), (265, 95, 50), (100, 270, 48), (260, 265, 35))
STILL = PosePrior([1.0, 1.0, 0.5], [2.0, 2.0, 4.0])
MOVING = PosePrior(0.7, 2.0, motion_angstrom=1.5, motion_deg=3.0)


@dataclass(frozen=True)
class Case:
    """What is refined: a block, or poses where there is none; in how many series of how many tilts."""

    block: Callable[[Imaging], Block] | None
    series: int
    tilts: int = 3
    prior: PosePrior = STILL
    samples: int = 1


ABERRATIONS = {"prior_deg": 20.0, "prior_resolution_angstrom": DETAIL}
CASES = {
    "poses": Case(None, series=9),
    "poses, moving": Case(None, series=3, tilts=7, prior=MOVING, samples=3),
    "image_warp": Case(
        partial(ImageWarp, grid=(2, 2), shift_prior_angstrom=1.0, warp_prior_angstrom=0.7, smoothness=0.5),
        series=3,
        tilts=6,
    ),
    "volume_warp": Case(
        partial(VolumeWarp, grid=(2, 2, 1, 3), motion_prior_angstrom=3.0, smoothness=0.5), series=8, tilts=5
    ),
    "stage_angles": Case(partial(StageAngles, prior_deg=3.0), series=3, tilts=12),
    "stage_angles, physical": Case(partial(StageAngles, prior_deg=1.0, physical=True), series=3, tilts=12),
    "defocus": Case(partial(Defocus, prior_um=0.05), series=8, tilts=14),
    "astigmatism": Case(partial(Astigmatism, prior_um=0.05), series=5, tilts=12),
    "phase_shift": Case(partial(PhaseShift, series_prior_deg=10.0, tilt_prior_deg=6.0), series=8, tilts=14),
    "spherical_aberration": Case(partial(SphericalAberration, prior_mm=1.0), series=50, tilts=2),
    "odd_aberrations": Case(partial(OddAberrations, orders=[1, 3, 5], **ABERRATIONS), series=10, tilts=6),
    "even_aberrations": Case(partial(EvenAberrations, orders=[2, 4], **ABERRATIONS), series=17),
    "magnification": Case(partial(Magnification, prior_percent=1.0), series=25),
}


@pytest.fixture(scope="module")
def setting() -> Setting:
    blobs = Blobs.molecule(16.0, 1.6, count=15).without_mean()
    blobs.weight *= SIGNAL
    return Setting.of(blobs, PIXEL, DETAIL, BOX)


def make_model(case: Case) -> SeriesModel:
    start = aberrated_imaging(case.tilts, SIDE)
    place = torch.tensor(PLACES, dtype=torch.float64)[:, None]
    euler = torch.randn(len(PLACES), 1, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    poses = make_poses(place, euler, normalised_dose(start.geometry.dose), case.prior, case.samples)
    blocks = [] if case.block is None else [case.block(start)]
    model = SeriesModel(start, poses, blocks)
    model.activate([block.name for block in blocks] or ["poses"])
    return model


def values(model: SeriesModel) -> list[Tensor]:
    """Present parameters: shifts (Å) and rotation vectors (radians), or those of the block in its unit."""
    if not model.block_list:
        return list(model.poses.deviation(model.poses.raw.detach()))
    return [block.physical() for block in model.block_list]


def error_bars(model: SeriesModel, covariance: Tensor, hyper_error: Tensor) -> list[Tensor]:
    """Standard errors of the same, as the tables of the results have them."""
    if not model.block_list:
        return list(model.poses.errors(covariance))
    return [block.in_units(hyper_error) for block in model.block_list]


def prior_widths(model: SeriesModel) -> list[Tensor]:
    if not model.block_list:
        return list(model.poses.errors(torch.eye(model.poses.raw.shape[1]).double().expand(len(PLACES), -1, -1)))
    return [block.in_units(block.prior.width()) for block in model.block_list]


def fit_one(case: Case, setting: Setting, seed: int) -> list[Tensor]:
    """Fit one simulated series: errors, error bars and prior widths of every kind of parameter, ``"3 parameter"``."""
    model = make_model(case)
    draw_from_prior(model, 1000 + seed)
    truth, images = values(model), setting.images(model, seed)
    reset(model)
    objective = setting.objective(model, images)
    assert GaussNewton(passes=15).solve(objective).status == "converged"
    posterior = objective.posterior()
    expected = error_bars(model, posterior.poses, posterior.hyper_error)
    kinds = zip(values(model), truth, expected, prior_widths(model), strict=True)
    return [torch.stack([found - true, error, width]).flatten(1) for found, true, error, width in kinds]


def root_mean_square(numbers: Tensor) -> float:
    return float(numbers.square().mean().sqrt())


def test_every_block_has_its_turn():
    assert {name.partition(",")[0] for name in CASES} == {"poses", *BLOCKS}


@pytest.mark.parametrize("name", CASES)
def test_errors_are_as_large_as_error_bars(name, setting):
    """And they have no side that they prefer, but for what the number of values leaves to chance."""
    runs = [fit_one(CASES[name], setting, seed) for seed in range(CASES[name].series)]
    for kind in zip(*runs, strict=True):
        error, expected, width = torch.cat(kind, 1)
        assert root_mean_square(expected / width) < 0.4
        assert root_mean_square(error) <= 1.25 * root_mean_square(expected)
        ratio = error / expected
        assert 0.8 <= float(ratio.std()) <= 1.25
        assert abs(float(ratio.mean())) < 0.3
