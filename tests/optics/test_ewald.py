"""Curvature of the Ewald sphere against scatterers that are each out of focus by their own depth."""

import dataclasses

import pytest
import torch

from mlit.deformation.local_coordinates import View
from mlit.fourier.insertion import FourierSums
from mlit.fourier.slices import ReferenceTable
from mlit.geometry.map_symmetry import NO_SYMMETRY
from mlit.likelihood.premultiply import ImageRequest, premultiply
from mlit.likelihood.statistics import local_statistics
from mlit.likelihood.tilt_images import TiltImages
from mlit.maps.fsc import fourier_shell_correlation
from mlit.maps.reconstruction import density, insert_particles
from mlit.optics.ewald import flat_detail, sphere_height
from mlit.optics.wavelength import electron_wavelength_angstrom
from tests.brute_force import Blobs, no_aberrations, plain_optics, plane_coordinates, rotations, rotations_everywhere
from tests.simulated import clean_images

PIXEL, SHAPE, DEFOCUS, VOLTAGE = 1.25, (240, 240), 0.3, 20.0
PLACE = torch.tensor([143.0, 154.7], dtype=torch.float64)
ONE = torch.ones(1, dtype=torch.float64)


def test_points_at_this_height_have_the_length_of_the_wave_vector():
    """|k0 + q| = |k0| to first order in the curvature, with k0 of length 1/wavelength along z."""
    wavelength = electron_wavelength_angstrom(300.0)
    frequency = torch.tensor([[0.1, 0.0], [-0.2, 0.25]], dtype=torch.float64)
    height = sphere_height(frequency, wavelength)
    length = torch.hypot(frequency.norm(dim=1), 1 / wavelength - height)
    assert torch.allclose(length * wavelength, torch.ones(2).double(), atol=1e-7)


def curved_images(blobs, view, optics, hand):
    """Images of tilts of one particle, in which every blob has the defocus of its own depth.

    ``hand`` is +1 where greater depth means more underfocus. The noise is as weak as the signal at every frequency.
    """
    places = blobs.centre @ view.rotation[0].transpose(1, 2)
    image = sum(
        clean_images(
            dataclasses.replace(
                view,
                xy_angstrom=view.xy_angstrom + places[None, :, blob, :2],
                defocus_um=view.defocus_um + hand * 1e-4 * places[None, :, blob, 2],
            ),
            optics,
            Blobs(torch.zeros(1, 3), weight[None], blobs.sigma),
            SHAPE,
            PIXEL,
        )
        for blob, weight in enumerate(blobs.weight)
    )
    frequency = torch.linspace(0, 0.5 / PIXEL, 48)
    noise = torch.exp(-((2 * torch.pi * blobs.sigma * frequency) ** 2))
    tilts = len(image)
    return TiltImages(image.float(), PIXEL, noise.expand(tilts, -1), torch.zeros(tilts))


def views(rotation, defocus):
    tilts = len(rotation)
    return View(PLACE.expand(1, tilts, 2), rotation[None], defocus[None], no_aberrations(tilts))


def thick_optics(tilts):
    """So long a wavelength that a molecule of 64 Å is thick."""
    return dataclasses.replace(plain_optics(tilts), voltage_kv=VOLTAGE, cs_mm=0.0)


class Pair:
    """A molecule, and one image of it."""

    def __init__(self, hand):
        self.blobs = Blobs.molecule(32.0, 1.1, count=12)
        self.optics = thick_optics(1)
        self.view = views(rotations(2, seed=5)[1:], torch.tensor([DEFOCUS], dtype=torch.float64))
        self.images = curved_images(self.blobs, self.view, self.optics, hand)

    def statistics(self, ewald_hand):
        """Explained share of the image, and the gradient by defocus in units of its curvature."""
        view = self.view
        request = ImageRequest(90.0, 3.2, quadrature=True, ewald_hand=ewald_hand)
        every = torch.ones(1, 1, dtype=torch.bool)
        cut = premultiply(self.images, self.optics, view.xy_angstrom, view.defocus_um, every, request)
        table = ReferenceTable.from_maps(self.blobs.volume(72, PIXEL)[None].float(), PIXEL)
        found = local_statistics(cut, view, table, torch.zeros(1, dtype=torch.long))
        gain = float(found.log_likelihood(ONE))
        return gain, float(found.gradient(ONE)[0, 0, 5] / found.curvature[0, 0, 5, 5])


@pytest.mark.parametrize("hand", [1, -1])
def test_the_hand_of_the_sphere_is_that_of_depth_and_defocus(hand):
    """The right hand explains most, without pulling at the defocus; the wrong one less than a flat slice."""
    pair = Pair(hand)
    right, flat, wrong = (pair.statistics(h) for h in (hand, 0, -hand))
    assert right[0] > 1.05 * flat[0]
    assert flat[0] > 1.05 * wrong[0]
    assert abs(right[1]) < 0.03 * abs(wrong[1])


def test_a_flat_slice_of_a_ball_keeps_nearly_all_of_its_amplitude_down_to_the_flat_detail():
    """The mean of cos πλk²z over the depths z of the points of a ball, at its limit and at half of it."""
    diameter, wavelength = 300.0, electron_wavelength_angstrom(300.0)
    z = torch.linspace(-0.5, 0.5, 2001) * diameter
    points = 1 - (2 * z / diameter) ** 2

    def kept(detail):
        return float((points * torch.cos(torch.pi * wavelength * z / detail**2)).sum() / points.sum())

    detail = flat_detail(diameter, wavelength)
    assert kept(detail) > 0.98
    assert kept(detail / 2) < 0.8


def test_a_map_shows_fine_detail_if_images_are_put_on_both_spheres():
    tilts = 48
    blobs, optics = Blobs.molecule(32.0, 1.1, count=6), thick_optics(tilts)
    view = views(rotations_everywhere(tilts), torch.linspace(0.2, 0.4, tilts, dtype=torch.float64))
    images = curved_images(blobs, view, optics, 1)

    def fine_detail(hand):
        cut = premultiply(
            images,
            optics,
            view.xy_angstrom,
            view.defocus_um,
            torch.ones(1, tilts, dtype=torch.bool),
            ImageRequest(90.0, 3.2, ewald_hand=hand),
        )
        sums = FourierSums.zeros(1, 72, PIXEL, 3.2)
        one = torch.ones(tilts, dtype=torch.float64)
        insert_particles(sums, cut, view, torch.zeros(1, dtype=torch.long), one, one[None])
        found = density(sums, [0], NO_SYMMETRY)
        truth = blobs.volume(sums.size, sums.pixel_size_angstrom).float()
        radius = plane_coordinates(sums.size, sums.pixel_size_angstrom, 3).norm(dim=1).reshape(truth.shape)
        ball = torch.sigmoid((38 - radius) / 1.5).float()
        return float(fourier_shell_correlation(found * ball, truth * ball)[22:28].mean())  # 4.1 to 3.3 Å

    right, flat, wrong = (fine_detail(hand) for hand in (1, 0, -1))
    assert 1 - right < 0.75 * (1 - flat)
    assert 1 - flat < 0.75 * (1 - wrong)
