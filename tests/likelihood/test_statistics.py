"""Local statistics against automatic differentiation of an explicit likelihood in float64."""

import dataclasses

import pytest
import torch

from mlit.deformation.local_coordinates import EVEN, ODD, VIEW_COORDINATES, Coordinate, View
from mlit.fourier.pixels import FourierPixels
from mlit.fourier.slices import ReferenceTable
from mlit.geometry.rotations import matrix_from_rotvec
from mlit.likelihood.particle_images import ParticleImages, WatchedAberrations
from mlit.likelihood.statistics import local_statistics
from tests.brute_force import Blobs, no_aberrations, plain_optics, rotations

BOX, PIXEL = 16, 4.0
PARTICLES, TILTS = 3, 2
ZERO = torch.zeros(Coordinate.MAGNIFICATION.value.stop, dtype=torch.float64)
SHIFT_OR_ODD = {0, 1, *ODD}
SHARED = tuple(range(VIEW_COORDINATES, Coordinate.MAGNIFICATION.value.stop))


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class Explicit:
    """Images whose likelihood is -|X - CTF P|² / 2 pixel by pixel, as the fast one has it with a huge box.

    Where aberrations are watched, they differ from those that the images were cut for, and images are magnified.
    ``bend`` (1/Å) is how far slices are off the central plane at the finest detail.
    """

    def __init__(self, watched=(), bend=0.0):
        self.watched, self.bend = watched, bend
        self.pixels = FourierPixels.inside(BOX, PIXEL, 2.4 * PIXEL)
        self.height = bend * (self.pixels.radius.double() / self.pixels.highest_frequency).square()
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
        optics = dataclasses.replace(plain_optics(TILTS), zernike_odd_rad=random(12, seed=9))
        frequency = self.pixels.frequency.double()
        self.functions = torch.cat([optics.even_functions(frequency), optics.odd_functions(frequency)])
        self.start = torch.cat([optics.even_coefficients(), optics.odd_coefficients().expand(TILTS, -1)], 1)
        shared = no_aberrations(TILTS)
        shared[:, :24] = self.start
        if watched:
            shared[:, :24] += 0.1 * random(TILTS, 24, seed=10) / self.functions.square().mean(1).sqrt()
            shared[:, 24:] += 0.03 * random(TILTS, 4, seed=11)
        self.view = View(self.xy + random(PARTICLES, TILTS, 2, seed=8), rotation, self.defocus + 0.02, shared)
        self.optics = optics

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
            self.watched_aberrations() if self.watched else None,
            self.height.float() if self.bend else None,
        )

    def watched_aberrations(self):
        return dataclasses.replace(WatchedAberrations.of(self.optics, self.watched, self.pixels), start=self.start)

    @property
    def coordinates(self):
        return [*range(VIEW_COORDINATES), *self.watched]

    def phases(self, tilt, local):
        """Change of the even and of the odd phase since the images were cut."""
        change = self.view.aberrations[tilt, :24] - self.start[tilt] + local[EVEN.start : ODD.stop]
        even = len(EVEN)
        return change[:even] @ self.functions[:even], change[even:] @ self.functions[even:]

    def model(self, particle, tilt, local):
        """Whitened model of one image as real numbers, for a change of its local coordinates."""
        rotation = matrix_from_rotvec(local[2:5]) @ self.view.rotation[particle, tilt]
        frequency = self.pixels.frequency.double()
        shift = self.view.xy_angstrom[particle, tilt] + local[:2] - self.xy[particle, tilt]
        even, odd = self.phases(tilt, local)
        place = -2 * torch.pi * (frequency @ shift) - odd
        magnification = self.view.magnification[tilt] + local[-4:].reshape(2, 2)
        gamma = self.phase_at(tilt, self.view.defocus_um[particle, tilt] + local[5]) + even
        waves = torch.zeros(())
        for side in (1, -1):
            point = torch.cat([frequency @ magnification.T, side * self.height[:, None]], 1) @ rotation
            value = self.blobs[int(self.which[particle])].transform(point)
            waves = waves + side * 0.5j * torch.polar(torch.ones_like(gamma), side * gamma) * value
        whole = waves * self.root[tilt] * torch.polar(torch.ones_like(place), place)
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
        return ReferenceTable.from_maps(maps, PIXEL, padding=8 if self.bend else 4)

    def derivative(self, function, particle, tilt):
        """Derivative of a function of an image by all coordinates that are looked at."""
        jacobian = torch.autograd.functional.jacobian(lambda local: function(particle, tilt, local), ZERO)
        return jacobian[..., self.coordinates]


@pytest.fixture(
    scope="module",
    params=[((), 0.0), (SHARED, 0.0), ((), -0.015), (SHARED, 0.015)],
    ids=["view", "aberrations", "view-curved", "aberrations-curved"],
)
def explicit(request):
    return Explicit(*request.param)


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


def test_cross_term_and_power(explicit, found):
    assert_close(found.cross, over_images(lambda p, t: explicit.cross(p, t, ZERO)), 0.01)
    assert_close(found.power, over_images(lambda p, t: explicit.power(p, t, ZERO)), 0.01)


def test_slopes_are_the_derivatives(explicit, found):
    """Shifts, turns from the left, defocus, aberrations; the power's slope is half its derivative."""

    def gradient(function):
        return lambda p, t: explicit.derivative(function, p, t)

    assert_close(found.cross_slope, over_images(gradient(explicit.cross)), 0.025)
    expected = over_images(gradient(explicit.power)) / 2
    phases = torch.tensor([i in SHIFT_OR_ODD for i in explicit.coordinates])
    assert float(expected[..., phases].abs().max()) < 1e-9, "a phase does not change the power"
    assert_close(found.power_slope[..., ~phases], expected[..., ~phases], 0.03)
    width = found.curvature.diagonal(dim1=-2, dim2=-1).sqrt() * found.power.sqrt()[..., None]
    assert bool((found.power_slope.abs() < 1e-4 * width)[..., phases].all())


def test_curvature_is_that_of_gauss_and_newton(explicit, found):
    def squared(p, t):
        jacobian = explicit.derivative(explicit.model, p, t)
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

    expected = over_images(lambda p, t: explicit.derivative(likelihood, p, t))
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
        assert_close(slope[..., None], found.cross_slope[..., coordinate, None], 0.1)


def test_moving_the_view_equals_cutting_again(explicit):
    """Data cut at the moved place, defocus and aberrations, looked at as they were cut, give the same statistics."""
    again = Explicit(explicit.watched, explicit.bend)
    shift = 2 * torch.pi * (explicit.view.xy_angstrom - explicit.xy)
    even, odd = zip(*[explicit.phases(tilt, ZERO) for tilt in range(TILTS)], strict=True)
    phase = torch.einsum("pc,xtc->xtp", again.pixels.frequency.double(), shift) + torch.stack(odd)
    again.image = again.image * torch.polar(torch.ones_like(phase), phase)
    again.gamma = again.gamma + torch.stack(even)
    again.start = explicit.view.aberrations[:, :24]
    again.xy, again.defocus = explicit.view.xy_angstrom, explicit.view.defocus_um
    table = explicit.table()
    moved = local_statistics(explicit.images(), explicit.view, table, explicit.which)
    cut = local_statistics(again.images(), explicit.view, table, explicit.which)
    for name in vars(cut):
        one, other = getattr(moved, name), getattr(cut, name)
        assert torch.allclose(one, other, atol=2e-5 * float(other.abs().max()), rtol=1e-4), name


@pytest.mark.parametrize("watched", [(), (*ODD, *Coordinate.MAGNIFICATION.value)], ids=["view", "aberrations"])
def test_without_quadrature_defocus_has_no_slope_and_the_rest_is_the_same(watched):
    explicit = Explicit(watched)
    plain = [place for place, coordinate in enumerate(explicit.coordinates) if coordinate != 5]
    still = dataclasses.replace(explicit.view, defocus_um=explicit.defocus)
    full, table = explicit.images(), explicit.table()
    lean = dataclasses.replace(full, quadrature=full.quadrature[:, :0])
    with_it, without = (local_statistics(images, still, table, explicit.which) for images in (full, lean))
    assert torch.allclose(with_it.cross, without.cross)
    assert torch.allclose(with_it.cross_slope[..., plain], without.cross_slope[..., plain])
    assert torch.allclose(with_it.curvature[..., plain, :][..., plain], without.curvature[..., plain, :][..., plain])
    assert float(without.cross_slope[..., 5].abs().max()) == 0
    assert float(without.power_slope[..., 5].abs().max()) == 0
    assert float(without.curvature[..., 5, :].abs().max()) == 0


def test_slices_without_height_are_flat(explicit):
    images, table = explicit.images(), explicit.table()
    level = dataclasses.replace(images, height=torch.zeros(images.pixels.count))
    plain = dataclasses.replace(images, height=None)
    one, other = (local_statistics(i, explicit.view, table, explicit.which) for i in (level, plain))
    for name in vars(one):
        a, b = getattr(one, name), getattr(other, name)
        assert torch.allclose(a, b, atol=2e-5 * float(b.abs().max()), rtol=1e-4), name


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
