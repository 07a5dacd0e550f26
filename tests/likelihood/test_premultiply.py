"""Premultiplied images against explicit transforms of the whole image and the exact Gaussian likelihood."""

import numpy as np
import pytest
import torch

from mlit.deformation.local_coordinates import View
from mlit.fourier.slices import ReferenceTable
from mlit.geometry.rotations import matrix_from_rotvec
from mlit.likelihood.premultiply import ImageRequest, boxes_for, centring_signs, plane_frequency, premultiply
from mlit.likelihood.statistics import local_statistics
from mlit.likelihood.tilt_images import TiltImages
from mlit.optics.astigmatism import astigmatism_vector
from mlit.optics.ctf import Optics
from tests.brute_force import Blobs, no_aberrations, rotations
from tests.simulated import clean_images

PIXEL = 4.0


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture(scope="module")
def optics():
    return Optics(300.0, 2.7, 0.07, astigmatism_vector(vector(0.3, 0.1), vector(0.4, 1.2)), vector(0.0, 0.2))


def series(shape=(100, 124), seed=0):
    """Two tilts of white noise with uneven spectra and exposures, and a place away from whole pixels."""
    pixels = torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed))
    noise = torch.linspace(2, 0.5, 48).expand(2, -1).contiguous()
    xy = torch.stack([vector(shape[1] * 2 + 1.7, shape[0] * 1.9 - 0.9), vector(shape[1] * 2.1, shape[0] * 2.0)])
    return TiltImages(pixels, PIXEL, noise, vector(5.0, 40.0)), xy[None]


def explicit(images, optics, xy, defocus, pixels, tilt, advance):
    """Filter the whole image by envelope, noise and CTF; sample the box at its place; sum up the transform."""
    side = 4 * max(images.pixels.shape[1:])
    axis = np.fft.fftfreq(side, PIXEL)
    kx, ky = np.meshgrid(axis, axis)
    radius, plane = torch.tensor(np.hypot(kx, ky)), torch.tensor(np.stack([kx, ky], -1))
    gamma = (optics.static_phase(plane)[tilt] + defocus * optics.defocus_slope(plane)).numpy()
    nyquist = 1 / (2 * pixels.pixel_size_angstrom)
    spectrum = np.fft.fft2(images.pixels[tilt].numpy().astype(float), s=(side, side))
    spectrum = spectrum * (images.envelope(radius) / images.noise_density(radius))[tilt].numpy()
    spectrum = spectrum * -np.sin(gamma + advance) * ((abs(kx) < nyquist) & (abs(ky) < nyquist))
    steps = (np.arange(pixels.box) - pixels.box // 2) * pixels.pixel_size_angstrom
    along_x, along_y = (np.exp(2j * np.pi * np.outer(float(p) + steps, axis)) for p in xy)
    patch = torch.tensor((along_y @ spectrum @ along_x.T).real / side**2)
    wave = torch.einsum("pc,yxc->pyx", pixels.frequency.double(), grid_of(pixels))
    terms = patch * torch.polar(torch.ones_like(wave), -2 * torch.pi * wave)
    return terms.sum((1, 2)) * pixels.pixel_size_angstrom**2


def grid_of(pixels):
    """Positions (x, y) of the pixels of the tight box from its centre."""
    steps = (torch.arange(pixels.box, dtype=torch.float64) - pixels.box // 2) * pixels.pixel_size_angstrom
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([x, y], -1)


def relative_error(found, expected):
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize(("resolution", "defocus"), [(10.0, 1.0), (10.0, 2.5), (8.1, 2.0), (7.0, 1.5)])
def test_images_match_the_whole_image_multiplied_by_the_ctf(optics, resolution, defocus):
    """Sub-pixel positions, astigmatism, images that are not square, coarser sampling, defocus-dependent boxes.

    White noise spreads over the whole box, whose rim feels the tails of the CTF beyond the large box: 3 to 11 %.
    A molecule, which stays off the rim, feels 1 to 3 %.
    """
    images, xy = series()
    values = vector(defocus, defocus + 0.1)[None]
    seen = torch.ones(1, 2, dtype=torch.bool)
    made = premultiply(images, optics, xy, values, seen, ImageRequest(80.0, resolution, True))
    pixels = made.pixels
    molecule = Blobs.molecule(26.0, 5.0)
    views = torch.einsum("pc,bci->bpi", pixels.frequency.double(), rotations(30)[:, :2])
    probes = molecule.transform(views)
    for tilt in range(2):
        for found, advance in ((made.data, 0.0), (made.quadrature, np.pi / 2)):
            expected = explicit(images, optics, xy[0, tilt], values[0, tilt], pixels, tilt, advance)
            assert relative_error(found[0, tilt].to(torch.complex128), expected) < 0.14
            seen_by_probes = (probes.conj() * (found[0, tilt] - expected)).sum(1).real
            assert float(seen_by_probes.norm() / (probes.conj() * expected).sum(1).real.norm()) < 0.05


def test_a_shift_of_the_position_is_a_phase(optics):
    """Half a pixel and whole pixels: C moves with the cut, so a molecule away from the rim sees a pure phase.

    The molecule has no mean, because the box's mean, which is left out, is not the same in two boxes.
    """
    images, xy = series()
    seen, defocus = torch.ones(1, 2, dtype=torch.bool), vector(1.0, 1.0)[None]
    shift = vector(1.9, -5.3)
    one = premultiply(images, optics, xy, defocus, seen, ImageRequest(100.0, 9.0))
    other = premultiply(images, optics, xy + shift, defocus, seen, ImageRequest(100.0, 9.0))
    phase = 2 * torch.pi * (one.pixels.frequency.double() @ shift)
    points = torch.einsum("pc,bci->bpi", one.pixels.frequency.double(), rotations(30)[:, :2])
    molecule = Blobs.molecule(26.0, 5.0)
    molecule.weight -= molecule.weight.mean()
    probes = molecule.transform(points)
    turned = one.data.to(torch.complex128) * torch.polar(torch.ones_like(phase), phase)
    expected = torch.einsum("bp,xtp->btx", probes.conj(), other.data.to(torch.complex128)).real
    found = torch.einsum("bp,xtp->btx", probes.conj(), turned).real
    assert relative_error(found, expected) < 0.05


@pytest.mark.parametrize("tight", [60.0, 100.0])
def test_power_arrays_match_explicit_sums(optics, tight):
    """Each is the transform of a kernel cut off at half the tight box, at the mean defocus of the tilt."""
    images, xy = series()
    defocus = torch.stack([vector(1.0, 1.4), vector(1.2, 1.8)])
    seen = torch.tensor([[True, True], [True, False]])
    made = premultiply(images, optics, xy.expand(2, -1, -1), defocus, seen, ImageRequest(tight, 12.0))
    assert torch.allclose(made.tilt_defocus_um, vector(1.1, 1.4))
    pixels = made.pixels
    boxes = boxes_for(pixels.pixel_size_angstrom, tight, 12.0, 1.4, 300.0)
    axis = torch.fft.fftfreq(boxes.large, pixels.pixel_size_angstrom, dtype=torch.float64)
    ky, kx = torch.meshgrid(axis, axis, indexing="ij")
    plane = torch.stack([kx, ky], -1)
    lags = grid_of(pixels).reshape(-1, 2)
    out = torch.cos(2 * torch.pi * torch.einsum("lc,yxc->lyx", lags, plane))
    back = torch.cos(2 * torch.pi * (pixels.frequency.double() @ lags.T))
    radius = plane.norm(dim=-1)
    inside = (kx.abs() < axis.max() + 1e-9) & (ky.abs() < axis.max() + 1e-9)
    for tilt in range(2):
        gamma = optics.static_phase(plane)[tilt] + made.tilt_defocus_um[tilt] * optics.defocus_slope(plane)
        envelope = (images.envelope(radius).square() / images.noise_density(radius))[tilt]
        for found, factor in (
            (made.power, torch.ones_like(gamma)),
            (made.power_cos, torch.cos(2 * gamma)),
            (made.power_sin, torch.sin(2 * gamma)),
        ):
            kernel = (out * (envelope * factor * inside)).mean((1, 2))
            assert relative_error(found[tilt].double(), back @ kernel) < 0.08


def test_slope_is_the_change_of_the_phase_with_defocus(optics):
    images, xy = series()
    made = premultiply(images, optics, xy, vector(1, 1)[None], torch.ones(1, 2).bool(), ImageRequest(60.0, 12.0))
    expected = -torch.pi * optics.wavelength_angstrom * 1e4 * made.pixels.radius.square()
    assert torch.allclose(made.slope, expected, rtol=1e-4)
    assert not made.has_quadrature
    assert made.quadrature.shape == (1, 0, made.pixels.count)


def test_unseen_images_stay_empty_and_need_no_position(optics):
    images, xy = series()
    xy = torch.stack([xy[0], vector(1e7, -1e7).expand(2, 2)])
    seen = torch.tensor([[True, False], [False, False]])
    made = premultiply(images, optics, xy, vector(1, 1).expand(2, 2), seen, ImageRequest(60.0, 12.0, True))
    assert float(made.data[0, 0].abs().max()) > 0
    assert float(made.data[1].abs().max()) == float(made.data[0, 1].abs().max()) == 0
    assert bool(torch.isfinite(made.power).all())


def test_no_visible_particle_at_all(optics):
    images, xy = series()
    made = premultiply(images, optics, xy, vector(1, 1)[None], torch.zeros(1, 2).bool(), ImageRequest(60.0, 12.0))
    assert float(made.data.abs().max()) == 0
    assert bool(torch.isfinite(made.power).all())


def test_boxes_hold_what_defocus_delocalises():
    plain, strong = (boxes_for(4.0, 100.0, 8.0, defocus, 300.0) for defocus in (0.0, 4.0))
    assert plain.large == plain.tight == strong.tight
    assert strong.large * 4.0 >= 100 + 2 * 0.0197 * 4e4 / 8 - 1
    assert boxes_for(4.0, 100.0, 8.0, -4.0, 300.0) == strong


def test_signs_move_the_origin_to_the_middle(optics):
    images, xy = series()
    pixels = premultiply(
        images, optics, xy, vector(1, 1)[None], torch.ones(1, 2).bool(), ImageRequest(60.0, 12.0)
    ).pixels
    impulse = torch.zeros(pixels.box, pixels.box)
    impulse[pixels.box // 2, pixels.box // 2] = 1
    values = torch.fft.rfft2(impulse).flatten()[pixels.index] * centring_signs(pixels)
    assert torch.allclose(values, torch.ones_like(values), atol=1e-5)


def test_plane_frequency_is_x_then_y():
    plane = plane_frequency(8, 2.0, torch.device("cpu"))
    assert plane.shape == (8, 5, 2)
    assert torch.allclose(plane[3, 2], torch.tensor([2 / 16, 3 / 16]))
    assert torch.allclose(plane[7, 0], torch.tensor([0.0, -1 / 16]))


class Simulated:
    """One molecule in one image with white noise; exact likelihood in real space beside the fast one."""

    def __init__(self, tight, defocus, quadrature=True):
        self.optics = Optics(300.0, 2.7, 0.07, astigmatism_vector(vector(0.3), vector(0.4)), vector(0.0))
        self.blobs = Blobs.molecule(40.0, 5.0)
        self.blobs.weight *= 800
        self.rotation, self.xy, self.defocus = rotations(3)[1], vector(255.7, 219.1), defocus
        clean = self.expected(vector(0, 0), vector(0, 0, 0), 0.0)
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        self.image = clean + noise
        tilt = TiltImages(self.image[None].float(), PIXEL, torch.ones(1, 48), vector(0.0))
        seen = torch.ones(1, 1, dtype=torch.bool)
        self.images = premultiply(
            tilt, self.optics, self.xy[None, None], vector(defocus)[None], seen, ImageRequest(tight, 8.5, quadrature)
        )
        self.table = ReferenceTable.from_maps(self.blobs.volume(28, PIXEL)[None].float(), PIXEL, padding=3)

    def view(self, shift, turn, defocus):
        rotation = matrix_from_rotvec(turn) @ self.rotation
        return View(
            (self.xy + shift)[None, None], rotation[None, None], vector(self.defocus + defocus)[None], no_aberrations(1)
        )

    def expected(self, shift, turn, defocus):
        return clean_images(self.view(shift, turn, defocus), self.optics, self.blobs, (112, 128), PIXEL)[0]

    def exact(self, *change):
        """-|X - model|² / 2 + |X|² / 2."""
        model = self.expected(*change)
        return float((self.image * model).sum() - model.square().sum() / 2)

    def fast(self, *change, images=None):
        which = torch.zeros(1, dtype=torch.long)
        statistics = local_statistics(images or self.images, self.view(*change), self.table, which)
        return float(statistics.log_likelihood(vector(1.0)))


STILL, LEVEL = vector(0, 0), vector(0, 0, 0)
CHANGES = [
    (vector(2.0, -1.0), LEVEL, 0.0, 0.04),
    (vector(6.0, 3.0), LEVEL, 0.0, 0.03),
    (STILL, vector(0.1, -0.05, 0.05), 0.0, 0.05),
    (STILL, vector(0.2, 0.1, -0.1), 0.0, 0.03),
    (STILL, LEVEL, 0.2, 0.06),
    (vector(2.0, 1.0), vector(0.05, 0.05, 0.0), 0.1, 0.05),
]


@pytest.mark.parametrize("defocus", [1.0, 2.5])
def test_likelihood_differences_are_those_of_the_gaussian_in_real_space(defocus):
    """With a box of twice the diameter W is exact: white noise, known molecule, no free factor."""
    simulated = Simulated(160.0, defocus)
    start = STILL, LEVEL, 0.0
    assert simulated.fast(*start) == pytest.approx(simulated.exact(*start), rel=0.04)
    for shift, turn, change, limit in CHANGES:
        exact = simulated.exact(shift, turn, change) - simulated.exact(*start)
        fast = simulated.fast(shift, turn, change) - simulated.fast(*start)
        assert fast == pytest.approx(exact, rel=limit), (shift, turn, change)


def test_a_tight_box_costs_little():
    """At 1.15 diameters the lags in W that leave the box are folded: 3 % for shifts and turns."""
    simulated = Simulated(92.0, 1.0)
    start = STILL, LEVEL, 0.0
    assert simulated.fast(*start) == pytest.approx(simulated.exact(*start), rel=0.05)
    for shift, turn, change, _ in (CHANGES[0], CHANGES[1], CHANGES[3], CHANGES[5]):
        exact = simulated.exact(shift, turn, change) - simulated.exact(*start)
        fast = simulated.fast(shift, turn, change) - simulated.fast(*start)
        assert fast == pytest.approx(exact, rel=0.04), (shift, turn, change)


@pytest.mark.parametrize("change", [-0.15, 0.1, 0.4])
def test_moving_the_defocus_by_quadrature_equals_cutting_again(change):
    simulated = Simulated(160.0, 1.5)
    tilt = TiltImages(simulated.image[None].float(), PIXEL, torch.ones(1, 48), vector(0.0))
    again = premultiply(
        tilt,
        simulated.optics,
        simulated.xy[None, None],
        vector(1.5 + change)[None],
        torch.ones(1, 1, dtype=torch.bool),
        ImageRequest(160.0, 8.5, True),
    )
    moved = simulated.fast(STILL, LEVEL, change)
    cut = simulated.fast(STILL, LEVEL, change, images=again)
    start = simulated.fast(STILL, LEVEL, 0.0)
    assert moved - start == pytest.approx(cut - start, rel=0.08, abs=1.5)
