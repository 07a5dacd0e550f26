"""Local statistics against automatic differentiation of an explicit likelihood in float64."""

import dataclasses

import pytest
import torch

from mlit.deformation.local_coordinates import View
from mlit.fourier.pixels import FourierPixels
from mlit.fourier.slices import ReferenceTable
from mlit.geometry.rotations import matrix_from_rotvec
from mlit.likelihood.particle_images import ParticleImages
from mlit.likelihood.statistics import local_statistics
from tests.brute_force import Blobs, no_aberrations, rotations

BOX, PIXEL = 16, 4.0
PARTICLES, TILTS = 3, 2


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class Explicit:
    """Images whose likelihood is -|X - CTF P|² / 2 pixel by pixel, as the fast one has it with a huge box."""

    def __init__(self):
        self.pixels = FourierPixels.inside(BOX, PIXEL, 2.4 * PIXEL)
        self.blobs = [Blobs.molecule(16.0, 5.0, seed=seed) for seed in (1, 2)]
        self.which = torch.tensor([0, 1, 1])
        self.root = 0.5 + torch.rand(TILTS, self.pixels.count, generator=torch.Generator().manual_seed(3)).double()
        self.gamma = random(TILTS, self.pixels.count, seed=4) * 2
        self.slope = -20 * self.pixels.radius.double().square() / self.pixels.radius.double().square().max()
        self.xy = 100 + random(PARTICLES, TILTS, 2, seed=5)
        self.defocus = 2 + 0.05 * random(PARTICLES, TILTS, seed=6)
        self.middle = torch.full((TILTS,), 2.0, dtype=torch.float64)
        self.image = 30 * random(PARTICLES, TILTS, self.pixels.count, seed=7, dtype=torch.complex128)
        rotation = rotations(PARTICLES * TILTS).reshape(PARTICLES, TILTS, 3, 3)
        self.view = View(
            self.xy + random(PARTICLES, TILTS, 2, seed=8), rotation, self.defocus + 0.02, no_aberrations(TILTS)
        )

    def phase_at(self, tilt, defocus):
        return self.gamma[tilt] + (defocus - self.middle[tilt]) * self.slope

    def images(self):
        """The same data in the form that the fast code takes."""
        gamma = torch.stack([self.phase_at(t, self.defocus[:, t, None]) for t in range(TILTS)], 1)
        weighted = self.image * self.root
        power = self.root.square()
        return ParticleImages(
            self.pixels,
            (weighted * -torch.sin(gamma)).to(torch.complex64),
            (weighted * -torch.cos(gamma)).to(torch.complex64),
            power.float(),
            (power * torch.cos(2 * self.gamma)).float(),
            (power * torch.sin(2 * self.gamma)).float(),
            self.slope.float(),
            self.xy,
            self.defocus,
            self.middle,
            torch.ones(PARTICLES, TILTS, dtype=torch.bool),
        )

    def model(self, particle, tilt, local):
        """Whitened model of one image as real numbers, for a change of its local coordinates."""
        rotation = matrix_from_rotvec(local[2:5]) @ self.view.rotation[particle, tilt]
        frequency = self.pixels.frequency.double()
        shift = self.view.xy_angstrom[particle, tilt] + local[:2] - self.xy[particle, tilt]
        place = -2 * torch.pi * (frequency @ shift)
        projection = self.blobs[int(self.which[particle])].transform(frequency @ rotation[:2])
        gamma = self.phase_at(tilt, self.view.defocus_um[particle, tilt] + local[5])
        whole = -torch.sin(gamma) * self.root[tilt] * projection * torch.polar(torch.ones_like(place), place)
        return torch.view_as_real(whole).flatten()

    @property
    def scale(self):
        return 2 / (BOX * PIXEL) ** 2

    def cross(self, particle, tilt, local):
        data = torch.view_as_real(self.image[particle, tilt]).flatten()
        return self.scale * (self.model(particle, tilt, local) * data).sum()

    def power(self, particle, tilt, local):
        return self.scale * self.model(particle, tilt, local).square().sum()

    def table(self):
        maps = torch.stack([blobs.volume(BOX, PIXEL) for blobs in self.blobs]).float()
        return ReferenceTable.from_maps(maps, PIXEL, padding=4)


@pytest.fixture(scope="module")
def explicit():
    return Explicit()


@pytest.fixture(scope="module")
def found(explicit):
    return local_statistics(explicit.images(), explicit.view, explicit.table(), explicit.which)


def over_images(function):
    return torch.stack([torch.stack([function(p, t) for t in range(TILTS)]) for p in range(PARTICLES)])


def assert_close(found, expected, limit):
    """Root-mean-square error of each local coordinate over all images, against its typical size."""
    error = (found - expected).square().mean((0, 1)).sqrt()
    size = expected.square().mean((0, 1)).sqrt()
    assert bool((error <= limit * size).all()), (error / size).tolist()


ZERO = torch.zeros(6, dtype=torch.float64)


def test_cross_term_and_power(explicit, found):
    assert_close(found.cross, over_images(lambda p, t: explicit.cross(p, t, ZERO)), 0.01)
    assert_close(found.power, over_images(lambda p, t: explicit.power(p, t, ZERO)), 0.01)


def test_slopes_are_the_derivatives(explicit, found):
    """All six: two shifts, three turns from the left, defocus; the power's slope is half its derivative."""

    def gradient(function):
        return lambda p, t: torch.autograd.functional.jacobian(lambda local: function(p, t, local), ZERO)

    assert_close(found.cross_slope, over_images(gradient(explicit.cross)), 0.015)
    expected = over_images(gradient(explicit.power)) / 2
    assert float(expected[..., :2].abs().max()) < 1e-9, "a shift does not change the power"
    assert_close(found.power_slope[..., 2:], expected[..., 2:], 0.03)
    assert float(found.power_slope[..., :2].abs().max()) < 1e-4 * float(found.power.max())


def test_curvature_is_that_of_gauss_and_newton(explicit, found):
    def squared(p, t):
        jacobian = torch.autograd.functional.jacobian(lambda local: explicit.model(p, t, local), ZERO)
        return explicit.scale * jacobian.T @ jacobian

    expected = over_images(squared)
    width = expected.diagonal(dim1=-2, dim2=-1).sqrt()
    scaled = (found.curvature - expected) / (width[..., :, None] * width[..., None, :])
    assert float(scaled.abs().max()) < 0.03
    assert torch.allclose(found.curvature, found.curvature.transpose(-1, -2), rtol=1e-4)
    assert float((torch.linalg.eigvalsh(found.curvature)).min()) > -1e-5 * float(found.curvature.max())


def test_gradient_for_any_amplitude(explicit, found):
    amplitude = torch.tensor([0.7, 1.4], dtype=torch.float64)

    def likelihood(p, t, local):
        a = amplitude[t]
        return a * explicit.cross(p, t, local) - a**2 * explicit.power(p, t, local) / 2

    expected = over_images(lambda p, t: torch.autograd.functional.jacobian(lambda x: likelihood(p, t, x), ZERO))
    assert_close(found.gradient(amplitude), expected, 0.02)
    values = over_images(lambda p, t: likelihood(p, t, ZERO))
    assert_close(found.log_likelihood(amplitude), values, 0.01)


def test_slopes_match_finite_differences_of_the_statistics_themselves(explicit, found):
    """Within the wiggle of interpolation; steps of a fifth of a pixel, half a degree, 20 nm."""
    table, images = explicit.table(), explicit.images()
    for coordinate, step in ((0, 0.8), (1, 0.8), (2, 0.02), (3, 0.02), (4, 0.02), (5, 0.02)):
        local = ZERO.clone()
        local[coordinate] = step

        def moved(sign, local=local):
            turn = matrix_from_rotvec(sign * local[2:5]) @ explicit.view.rotation
            return local_statistics(
                images,
                View(
                    explicit.view.xy_angstrom + sign * local[:2],
                    turn,
                    explicit.view.defocus_um + sign * local[5],
                    explicit.view.aberrations,
                ),
                table,
                explicit.which,
            )

        slope = (moved(1).cross - moved(-1).cross) / (2 * step)
        assert_close(slope[..., None], found.cross_slope[..., coordinate, None], 0.08)


def test_moving_the_view_equals_cutting_again(explicit):
    """Data cut at the moved place and defocus, looked at where they were cut, give the same statistics."""
    again = Explicit()
    phase = (
        2
        * torch.pi
        * torch.einsum("pc,xtc->xtp", again.pixels.frequency.double(), explicit.view.xy_angstrom - explicit.xy)
    )
    again.image = again.image * torch.polar(torch.ones_like(phase), phase)
    again.xy, again.defocus = explicit.view.xy_angstrom, explicit.view.defocus_um
    table = explicit.table()
    moved = local_statistics(explicit.images(), explicit.view, table, explicit.which)
    cut = local_statistics(again.images(), explicit.view, table, explicit.which)
    for name in vars(cut):
        one, other = getattr(moved, name), getattr(cut, name)
        assert torch.allclose(one, other, atol=2e-5 * float(other.abs().max()), rtol=1e-4), name


def test_without_quadrature_defocus_has_no_slope_and_the_rest_is_the_same(explicit):
    still = dataclasses.replace(explicit.view, defocus_um=explicit.defocus)
    full, table = explicit.images(), explicit.table()
    lean = dataclasses.replace(full, quadrature=full.quadrature[:, :0])
    with_it, without = (local_statistics(images, still, table, explicit.which) for images in (full, lean))
    assert torch.allclose(with_it.cross, without.cross)
    assert torch.allclose(with_it.cross_slope[..., :5], without.cross_slope[..., :5])
    assert torch.allclose(with_it.curvature[..., :5, :5], without.curvature[..., :5, :5])
    assert float(without.cross_slope[..., 5].abs().max()) == 0
    assert float(without.power_slope[..., 5].abs().max()) == 0
    assert float(without.curvature[..., 5, :].abs().max()) == 0


def test_unseen_images_count_for_nothing(explicit, found):
    images = explicit.images()
    hidden = images.valid.clone()
    hidden[1, 0] = False
    some = local_statistics(dataclasses.replace(images, valid=hidden), explicit.view, explicit.table(), explicit.which)
    assert float(some.cross[1, 0]) == float(some.power[1, 0]) == float(some.curvature[1, 0].abs().max()) == 0
    assert torch.allclose(some.cross[hidden], found.cross[hidden])
    none = local_statistics(
        dataclasses.replace(images, valid=torch.zeros_like(hidden)),
        explicit.view,
        explicit.table(),
        explicit.which,
    )
    assert float(none.cross.abs().max()) == 0
