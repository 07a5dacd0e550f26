"""The wide search of the defocus: its curves against full passes, what it finds, and what it leaves alone."""

import dataclasses
import math

import pytest
import torch

from mlit.deformation.defocus import Defocus
from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.deformation.series_model import SeriesModel
from mlit.fourier.slices import ReferenceTable
from mlit.likelihood.defocus_search import (
    DefocusPrior,
    JumpRule,
    offsets_to_try,
    phase_products,
    search_defocus,
)
from mlit.likelihood.image_batches import ImageBatches
from mlit.likelihood.matches import Matches
from mlit.likelihood.premultiply import ImageRequest, premultiply
from mlit.likelihood.statistics import local_statistics
from mlit.likelihood.tilt_images import TiltImages
from mlit.optim.solvers import GaussNewton
from mlit.training.series_step import Members, SeriesContext, Target, fit
from tests.brute_force import Blobs, flat_geometry, imaging_of, rotations
from tests.simulated import clean_images

SIDE, PIXEL, TILTS, PARTICLES, DETAIL, BOX, REACH, SIGMA = 256.0, 2.0, 4, 4, 4.4, 72.0, 0.3, 1.3
SHAPE = (int(SIDE / PIXEL), int(SIDE / PIXEL))
EXPECTED = torch.ones(TILTS, dtype=torch.float64)
WHICH = torch.zeros(PARTICLES, dtype=torch.long)


def noise_power(frequency):
    """Falls off as the molecule's spectrum does, so that all frequencies count alike."""
    return torch.exp(-((2 * torch.pi * SIGMA * frequency) ** 2)) + 0.003


def with_noise(clean, seed):
    kx, ky = torch.fft.rfftfreq(SHAPE[1], PIXEL), torch.fft.fftfreq(SHAPE[0], PIXEL)
    white = torch.randn(TILTS, *SHAPE, generator=torch.Generator().manual_seed(seed))
    coloured = torch.fft.rfft2(white) * noise_power(torch.hypot(ky[:, None], kx)).sqrt()
    bins = noise_power(torch.linspace(0, 0.5 / PIXEL, 48)).expand(TILTS, -1).contiguous()
    return TiltImages(clean + torch.fft.irfft2(coloured, s=SHAPE), PIXEL, bins, torch.zeros(TILTS))


class Series:
    """Images of a molecule at a known defocus."""

    def __init__(self):
        self.truth = imaging_of(flat_geometry(TILTS, SIDE, 1.2))
        self.blobs = Blobs.molecule(22.0, SIGMA, count=12)
        self.blobs.weight *= 20
        self.place = torch.tensor([[85.0, 90, 30], [170, 88, 35], [90, 172, 28], [172, 168, 36]]).double()
        self.rotation = rotations(PARTICLES, seed=3)
        self.table = ReferenceTable.from_maps(self.blobs.volume(36, PIXEL)[None].float(), PIXEL)
        self.clean = clean_images(self.view(), self.truth.optics, self.blobs, SHAPE, PIXEL).float()

    def model(self, error_um, search_um=0.0):
        wrong = self.truth.geometry.defocus_um + torch.tensor(error_um, dtype=torch.float64)
        start = self.truth.with_geometry(defocus_um=wrong)
        poses = Poses(self.place, self.rotation, PosePrior(3.0, 3.0))
        model = SeriesModel(start, poses, [Defocus(start, 0.06, search_um)])
        model.activate(["poses", "defocus"])
        return model

    def view(self):
        with torch.no_grad():
            return self.model([0.0] * TILTS)()

    def cut(self, images, view, **options):
        seen = torch.ones(PARTICLES, TILTS, dtype=torch.bool)
        optics = self.truth.optics
        request = ImageRequest(BOX, DETAIL, quadrature=True, **options)
        return premultiply(images, optics, view.xy_angstrom, view.defocus_um, seen, request)

    def fit(self, images, error_um, search_um):
        model, everything = self.model(error_um, search_um), torch.ones(PARTICLES, dtype=torch.bool)
        context = SeriesContext(EXPECTED > 0, EXPECTED, (Members(WHICH, everything, 10.0),))
        result = fit(model, images, context, [Target(self.table, BOX, DETAIL)], GaussNewton(4), look_far=True)
        return model, result


@pytest.fixture(scope="module")
def series():
    return Series()


@pytest.fixture(scope="module")
def noisy(series):
    return with_noise(series.clean, 1)


def moved(view, offset_um):
    return dataclasses.replace(view, defocus_um=view.defocus_um + offset_um)


@pytest.mark.parametrize("hand", [0, 1])
def test_curves_are_those_of_full_passes(series, noisy, hand):
    view = series.view()
    images = series.cut(noisy, view, ewald_hand=hand)
    products = phase_products(images, view, series.table, WHICH, REACH)
    for offset in (-0.3, -0.07, 0.0, 0.2):
        cross, power = products.at(torch.tensor([offset], dtype=torch.float64))
        full = local_statistics(images, moved(view, offset), series.table, WHICH)
        assert torch.allclose(cross[:, 0], full.cross.sum(0), rtol=1e-4, atol=1e-4 * float(full.power.sum(0).max()))
        assert torch.allclose(power[:, 0], full.power.sum(0), rtol=1e-4)


@pytest.mark.parametrize("offset", [-REACH, REACH])
def test_the_ends_of_the_reach_are_as_if_cut_there(series, noisy, offset):
    """To half a standard deviation of the cross term, and two per cent of the power."""
    view = series.view()
    images = series.cut(noisy, view, defocus_reach_um=REACH)
    products = phase_products(images, view, series.table, WHICH, REACH)
    cross, power = products.at(torch.tensor([offset], dtype=torch.float64))
    there = moved(view, offset)
    again = local_statistics(series.cut(noisy, there), there, series.table, WHICH)
    exact = again.power.sum(0)
    assert float((power[:, 0] / exact - 1).abs().max()) < 0.02
    assert float(((cross[:, 0] - again.cross.sum(0)) / exact.sqrt()).abs().max()) < 0.5


def test_offsets_reach_both_ends_and_follow_the_finest_detail(series, noisy):
    images = series.cut(noisy, series.view())
    offsets = offsets_to_try(images.slope, REACH)
    assert float(offsets[0]) == -REACH
    assert float(offsets[-1]) == REACH
    assert float(offsets[len(offsets) // 2]) == 0
    step = float(offsets[1] - offsets[0]) * float(images.slope.abs().max())
    assert 0.3 < step <= math.pi / 8 + 1e-9
    assert len(offsets_to_try(images.slope, 1e-3)) == 17


def test_tilts_beyond_the_reach_of_a_fit_are_found_and_others_left_alone(series, noisy):
    """Without the search two tilts stay where they are, 0.2 µm off, or get worse."""
    error = [0.0, 0.2, -0.2, 0.02]
    for search_um in (0.0, REACH):
        model, result = series.fit(noisy, error, search_um)
        left = (model.imaging().geometry.defocus_um - series.truth.geometry.defocus_um).abs()
        assert float(left[[0, 3]].max()) < 0.01
        if search_um == 0:
            assert result.search is None
            assert float(left[[1, 2]].min()) > 0.1
        else:
            assert result.search.accepted.tolist() == [False, True, True, False]
            assert float(left[[1, 2]].max()) < 0.015
            expected = torch.tensor([0.0, -0.2, 0.2, 0.0], dtype=torch.float64)
            assert float((model.blocks["defocus"].jumped_um - expected).abs().max()) < 0.02
            assert float(model.blocks["defocus"].raw.detach().abs().max()) < 1, "no prior pulls back"
    assert result.change_in_errors > 5, "a jump is a change"


def test_good_starts_are_fitted_as_without_a_search(series):
    """But for the larger box in which images are cut."""
    for seed in (1, 2):
        images = with_noise(0.3 * series.clean, seed)
        fits = [series.fit(images, [0.03, -0.05, 0.0, 0.05], search_um) for search_um in (0.0, REACH)]
        (without, _), (model, result) = fits
        assert not result.search.accepted.any()
        assert float((model.blocks["defocus"].physical() - without.blocks["defocus"].physical()).abs().max()) < 0.005
        assert result.outcome.end == pytest.approx(fits[0][1].outcome.end, abs=0.5)


@pytest.mark.parametrize("signal", [0.0, 0.05])
def test_noise_is_never_taken_for_a_far_peak(series, signal):
    """Noise alone, and good starts with a signal that is lost in it."""
    view = series.view()
    prior = DefocusPrior(torch.zeros(TILTS).double(), torch.full((TILTS,), 0.06).double())
    for seed in range(10):
        images = series.cut(with_noise(signal * series.clean, seed), view, defocus_reach_um=REACH)
        found = search_defocus(
            Matches.of_one(ImageBatches.whole(images), series.table, WHICH), view, EXPECTED, prior, REACH
        )
        assert not found.accepted.any()
        assert float(found.log_likelihood.min()) >= 0, "no signal is always an explanation"


def test_tilts_out_of_use_stay(series, noisy):
    view = moved(series.view(), 0.2)
    images = series.cut(noisy, view, defocus_reach_um=REACH)
    prior = DefocusPrior(torch.zeros(TILTS).double(), torch.full((TILTS,), 0.06).double())
    used = torch.tensor([1.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    found = search_defocus(Matches.of_one(ImageBatches.whole(images), series.table, WHICH), view, used, prior, REACH)
    assert found.accepted.tolist() == [True, False, True, True]
    nobody = dataclasses.replace(images, valid=images.valid & (torch.arange(TILTS) != 2))
    found = search_defocus(
        Matches.of_one(ImageBatches.whole(nobody), series.table, WHICH), view, EXPECTED, prior, REACH
    )
    assert found.accepted.tolist() == [True, True, False, True]


OFFSETS = torch.linspace(-0.3, 0.3, 61, dtype=torch.float64)


def peak(place, height, width=0.03):
    return height * torch.exp(-(((OFFSETS - place) / width) ** 2) / 2)


def jump_in(curve, deviation=0.0):
    prior = DefocusPrior(torch.tensor([deviation]).double(), torch.tensor([0.06]).double())
    return JumpRule().jump(OFFSETS, curve, prior.log_density(OFFSETS)[0])


def test_a_far_peak_that_stands_out_is_taken_between_the_offsets():
    assert jump_in(peak(0.0, 5.0) + peak(0.203, 40.0)) == pytest.approx(0.203, abs=5e-4)


@pytest.mark.parametrize(
    "curve",
    [
        peak(0.02, 500.0),
        peak(0.0, 30.0) + peak(0.2, 36.0),
        peak(-0.2, 40.0) + peak(0.2, 41.0),
        peak(0.3, 40.0),
        peak(0.2, 8.0),
        peak(0.2, 40.0).index_fill(0, torch.tensor(3), math.nan),
        peak(0.2, 40.0).index_fill(0, torch.tensor(3), math.inf),
    ],
    ids=["near", "hardly better", "two alike", "at the end", "low", "not a number", "infinite"],
)
def test_other_curves_move_nothing(curve):
    assert jump_in(curve) == 0.0


def test_a_place_that_the_prior_likes_takes_less_than_one_it_does_not():
    """A tilt that has gone astray by five widths is believed to come back sooner than a good one to stray."""
    curve = peak(0.0, 20.0, 0.01) + peak(-0.29, 28.0)
    assert jump_in(curve) == 0.0
    assert jump_in(curve, deviation=0.3) == pytest.approx(-0.29, abs=0.01)
