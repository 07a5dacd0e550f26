"""Curvature of the Ewald sphere against scatterers that are each out of focus by their own depth."""

import dataclasses

import pytest
import torch

from mlit.deformation.local_coordinates import View
from mlit.fourier.slices import ReferenceTable
from mlit.likelihood.premultiply import ImageRequest, premultiply
from mlit.likelihood.statistics import local_statistics
from mlit.likelihood.tilt_images import TiltImages
from mlit.optics.ewald import sphere_height
from mlit.optics.wavelength import electron_wavelength_angstrom
from tests.brute_force import Blobs, no_aberrations, plain_optics, rotations
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


class Pair:
    """A molecule, and the image of it whose every blob has the defocus of its own depth.

    ``hand`` is +1 where greater depth means more underfocus. The noise is as weak as the signal at every frequency.
    """

    def __init__(self, hand):
        self.blobs = Blobs.molecule(32.0, 1.1, count=12)
        self.optics = dataclasses.replace(plain_optics(1), voltage_kv=VOLTAGE, cs_mm=0.0)
        self.rotation = rotations(2, seed=5)[1]
        places = self.blobs.centre @ self.rotation.T
        image = sum(
            clean_images(
                View((PLACE + place[:2])[None, None], self.rotation[None, None], defocus, no_aberrations(1)),
                self.optics,
                Blobs(torch.zeros(1, 3), weight[None], self.blobs.sigma),
                SHAPE,
                PIXEL,
            )
            for place, weight in zip(places, self.blobs.weight, strict=True)
            for defocus in [(DEFOCUS + hand * 1e-4 * place[2])[None, None]]
        )
        frequency = torch.linspace(0, 0.5 / PIXEL, 48)
        noise = torch.exp(-((2 * torch.pi * self.blobs.sigma * frequency) ** 2))
        self.images = TiltImages(image.float(), PIXEL, noise[None], torch.zeros(1))

    def statistics(self, ewald_hand):
        """Explained share of the image, and the gradient by defocus in units of its curvature."""
        defocus, xy = torch.full((1, 1), DEFOCUS, dtype=torch.float64), PLACE[None, None]
        request = ImageRequest(90.0, 3.2, quadrature=True, ewald_hand=ewald_hand)
        cut = premultiply(self.images, self.optics, xy, defocus, torch.ones(1, 1).bool(), request)
        table = ReferenceTable.from_maps(self.blobs.volume(72, PIXEL)[None].float(), PIXEL)
        view = View(xy, self.rotation[None, None], defocus, no_aberrations(1))
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
