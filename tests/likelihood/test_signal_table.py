"""Sums of what images say about their signal, against direct evaluation."""

import dataclasses
import math

import pytest
import torch

from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.deformation.series_model import SeriesModel
from mlit.fourier.insertion import FourierSums
from mlit.likelihood.image_batches import ImageBatches
from mlit.likelihood.matches import Matches
from mlit.likelihood.premultiply import ImageRequest, premultiply
from mlit.likelihood.signal_table import Rings, Sorting, tabulate
from mlit.likelihood.signal_weights import SignalWeights, double_angle
from mlit.likelihood.statistics import local_statistics
from mlit.likelihood.tilt_images import TiltImages
from mlit.maps.reconstruction import insert_particles
from mlit.optim.levenberg_marquardt import Settings, maximise
from tests.brute_force import Blobs, flat_geometry, imaging_of, rotations
from tests.simulated import Setting, clean_images

SIDE, PIXEL, TILTS, DETAIL = 480.0, 4.0, 3, 10.0
RINGS = Rings(1 / DETAIL, count=6)
WEIGHT = torch.tensor([1.0, 0.5, 1.0, 0.2], dtype=torch.float64)
NO_PLACES = torch.zeros(4, TILTS, dtype=torch.long)


class Scene:
    """Four molecules in three tilts, without noise unless a seed is given."""

    def __init__(self, weights=None, seed=None, ewald_hand=0):
        blobs = Blobs.molecule(30.0, 5.5).without_mean()
        blobs.weight *= 500
        imaging = imaging_of(flat_geometry(TILTS, SIDE))
        self.setting = Setting.of(blobs, PIXEL, DETAIL, 128.0, padding=3)
        place = torch.tensor([[150.0, 150, 50], [330, 160, 70], [160, 320, 65], [320, 330, 40]]).double()
        self.model = SeriesModel(imaging, Poses(place, rotations(4, seed=3), PosePrior(30.0, 30.0)), [])
        with torch.no_grad():
            self.view = self.model()
        pixels = int(SIDE / PIXEL)
        clean = clean_images(self.view, imaging.optics, blobs, (pixels, pixels), PIXEL).float()
        if seed is not None:
            clean = clean + torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
        self.images = TiltImages(clean, PIXEL, torch.ones(TILTS, 48), torch.zeros(TILTS), weights or SignalWeights())
        self.optics, self.hand = imaging.optics, ewald_hand

    def cut(self):
        valid = torch.ones(4, TILTS, dtype=torch.bool)
        valid[1, 2] = False
        request = ImageRequest(128.0, DETAIL, ewald_hand=self.hand)
        view = self.view
        return premultiply(self.images, self.optics, view.xy_angstrom, view.defocus_um, valid, request)

    def table(self, rings=RINGS, place=NO_PLACES, places=1):
        which, batches = torch.zeros(4, dtype=torch.long), ImageBatches.whole(self.cut())
        return tabulate(
            Matches.of_one(batches, self.setting.table, which), self.view, Sorting(rings, place, places, WEIGHT)
        )

    def statistics(self):
        return local_statistics(self.cut(), self.view, self.setting.table, torch.zeros(4, dtype=torch.long))


@pytest.mark.parametrize("hand", [0, 1])
def test_bins_add_up_to_the_terms_of_the_likelihood(hand):
    scene = Scene(seed=1, ewald_hand=hand)
    table, whole = scene.table(), scene.statistics()
    torch.testing.assert_close(table.cross.sum((1, 2)), WEIGHT @ whole.cross, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(table.power.sum((1, 2)), WEIGHT @ whole.power, rtol=1e-4, atol=1e-3)


def test_places_and_sectors_split_the_same_sums():
    scene, place = Scene(seed=1), torch.tensor([[0, 1, 1], [1, 1, 1], [0, 0, 0], [1, 0, 1]])
    whole = scene.table()
    split = scene.table(place=place, places=2)
    torch.testing.assert_close(split.power.sum(1), whole.power[:, 0], rtol=1e-5, atol=1e-4)
    first = scene.statistics().power * WEIGHT[:, None] * (place == 0)
    torch.testing.assert_close(split.power[:, 0].sum(1), first.sum(0), rtol=1e-4, atol=1e-3)
    sectors = scene.table(rings=dataclasses.replace(RINGS, sectors=6))
    assert torch.allclose(sectors.cross.unflatten(2, (6, 6)).sum(3), whole.cross, rtol=1e-4, atol=1e-2)


def test_ratio_is_what_the_images_were_multiplied_with():
    """Images are scaled by 0.7 exp(-300 k² / 4), the direction of the decay included."""
    plane = torch.stack(
        torch.broadcast_tensors(
            torch.fft.rfftfreq(int(SIDE / PIXEL), PIXEL), torch.fft.fftfreq(int(SIDE / PIXEL), PIXEL)[:, None]
        ),
        -1,
    )
    turned = torch.tensor([60.0, -90.0])
    filtered = 0.7 * torch.exp((-300 * plane.square().sum(-1) + double_angle(plane) @ turned) / 4)
    scene, rings = Scene(), Rings(1 / DETAIL, count=10, sectors=6)
    plain = scene.table(rings)
    spectrum = torch.fft.rfft2(scene.images.pixels) * filtered
    scene.images = dataclasses.replace(scene.images, pixels=torch.fft.irfft2(spectrum, s=scene.images.pixels.shape[1:]))
    ratio = scene.table(rings).cross / plain.power
    centres = rings.centres()
    expected = 0.7 * torch.exp((-300 * centres.square().sum(-1) + double_angle(centres) @ turned.double()) / 4)
    known = plain.power.sum((0, 1)) > 0.01 * plain.power.sum((0, 1)).max()
    assert known.sum() > 30
    found = (ratio * plain.power).sum((0, 1)) / plain.power.sum((0, 1))
    assert float((found / expected - 1)[known].abs().max()) < 0.08
    assert float((found / expected - 1)[known].mean().abs()) < 0.01


def test_every_pixel_lies_in_the_bin_around_it():
    rings = Rings(0.1, count=8, sectors=6)
    angle = torch.rand(500, generator=torch.Generator().manual_seed(0)) * 2 * math.pi
    radius = torch.rand(500, generator=torch.Generator().manual_seed(1)) * 0.1
    plane = radius[:, None] * torch.stack([torch.cos(angle), torch.sin(angle)], -1)
    centre = rings.centres()[rings.bin_of(plane)]
    assert float((centre.norm(dim=-1) - radius).abs().max()) < 0.1 / 8
    turn = (torch.atan2(centre[:, 1], centre[:, 0]) - angle) / math.pi * 6
    assert float(((turn + 3) % 6 - 3).abs().max()) < 0.51
    assert torch.equal(rings.bin_of(plane), rings.bin_of(-plane))


@pytest.mark.parametrize("bfactor", [0.0, -60.0])
def test_places_weaken_the_model_and_the_weight_in_the_maps(bfactor):
    """A grid that says the same everywhere does what a factor of the references does."""
    nodes = torch.tensor([0.5, bfactor]).double().expand(1, 2, 2, 2).contiguous()
    plain, placed = Scene(seed=2), Scene(SignalWeights(places=nodes), seed=2)
    factor = 0.5 * torch.exp(bfactor / 4 * RINGS.centres().square().sum(-1))
    found = placed.table().power.sum((0, 1)) / plain.table().power.sum((0, 1))
    assert torch.allclose(found, factor.square(), rtol=0.04 if bfactor else 1e-4)
    sums = []
    for scene in (plain, placed):
        sums.append(FourierSums.zeros(1, 32, PIXEL, DETAIL))
        one, which = torch.ones(4, TILTS), torch.zeros(4, dtype=torch.long)
        insert_particles(sums[-1], scene.cut(), scene.view, which, one[0].double(), one)
    ratio = sums[1].rows.abs().sum((0, 1)) / sums[0].rows.abs().sum((0, 1))
    if bfactor == 0:
        assert torch.allclose(ratio, torch.tensor([0.5, 0.5, 0.25]), rtol=1e-4)
    assert float(factor[-1]) * 0.9999 < float(ratio[0]) < 0.5001
    assert float(factor[-1]) ** 2 * 0.9999 < float(ratio[2]) < 0.2501


def test_what_a_fit_has_gained_by_following_noise_is_taken_away():
    """It adds to the cross term twice what errors of the poses take from it; without it, their half is left.

    Compared with the true poses in the same noise.
    """
    gained, followed, cleaned = 0.0, 0.0, 0.0
    scale, frequency = torch.ones(TILTS, RINGS.bins).double(), RINGS.centres().norm(dim=-1)
    for seed in range(8):
        scene = Scene(seed=seed)
        scene.model.activate(["poses"])
        objective = scene.setting.objective(scene.model, scene.images)

        def table(scene=scene, objective=objective):
            with torch.no_grad():
                view = scene.model()
            return tabulate(objective.matches, view, Sorting(RINGS, NO_PLACES, 1, torch.ones(4).double()))

        before = table()
        maximise(objective, Settings(max_passes=6))
        noise, after = objective.posterior().followed_noise.sum(0), table()
        less = after.without_noise(noise, scale, frequency)
        assert torch.equal(less.power, after.power)
        signal = (after.power - before.power) / 2  # of another slice of the reference
        gained += float((after.cross - before.cross - signal).sum())
        cleaned += float((less.cross - before.cross - signal).sum())
        followed += float(noise.sum())
    assert 0.35 < gained / followed < 0.65
    assert -0.65 < cleaned / followed < -0.35
