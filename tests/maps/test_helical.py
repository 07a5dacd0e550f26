"""Helical maps: the winding, sums against exact density, and what symmetry brings."""

import math

import pytest
import torch

from mlit.fourier.centred import centred_irfft3
from mlit.fourier.insertion import FourierSums, insert
from mlit.fourier.pixels import FourierPixels
from mlit.fourier.shells import shell_counts
from mlit.geometry.map_symmetry import NO_SYMMETRY, Helix, Symmetry
from mlit.geometry.rotations import rotation_y, rotation_z
from mlit.maps.filters import cosine_step, low_pass
from mlit.maps.fsc import fourier_shell_correlation
from mlit.maps.helical import wind
from mlit.maps.independence import independent_fraction
from mlit.maps.mask import MaskResult, spherical_mask
from mlit.maps.reconstruction import combine, density
from mlit.maps.references import ReferenceSettings, half_maps, reference_maps
from mlit.maps.rigid_motion import RigidMotion, move_map
from mlit.maps.symmetrise import fall_off
from tests.brute_force import Blobs, rotations_everywhere

N, PIXEL, RESOLUTION = 48, 3.0, 7.2
LENGTH, DIAMETER, SIGMA = N * PIXEL, N * PIXEL / 2, 1.6 * PIXEL
HELICES = {
    "right-handed": Helix(5, math.radians(27.3), 13.1),
    "left-handed": Helix(6, math.radians(-166.6), 11.3),
    "fine": Helix(30, math.radians(22.03), 1.41),  # a rise of half a voxel
}
CASES = [("right-handed", "C1"), ("left-handed", "C1"), ("fine", "C1"), ("right-handed", "C3"), ("left-handed", "D1")]


def coordinates(n, pixel):
    z, y, x = torch.meshgrid(*[(torch.arange(n) - n // 2) * pixel] * 3, indexing="ij")
    return torch.hypot(x, y), z.abs()


FROM_AXIS, HEIGHT = coordinates(N, PIXEL)


def subunit():
    """A few blobs beside the axis."""
    generator = torch.Generator().manual_seed(0)
    centre = torch.randn(8, 3, generator=generator, dtype=torch.float64) * 6
    centre[:, 0] += 14.0
    return Blobs(centre, 0.5 + torch.rand(8, generator=generator, dtype=torch.float64), SIGMA)


def moved(blobs, operators):
    """Copies of blobs by rotations and shifts."""
    rotations, shifts = operators
    centre = torch.einsum("oij,bj->obi", rotations, blobs.centre) + shifts[:, None]
    return Blobs(centre.reshape(-1, 3), blobs.weight.repeat(len(rotations)), blobs.sigma)


def filament(symmetry, half_length):
    """All units whose origins lie within a distance from the middle."""
    return moved(subunit(), symmetry.operators_within(half_length))


def error(found, truth, where):
    return float((found - truth)[where].norm() / truth[where].norm())


def sums_of(blobs, rotation, noise=0.0, groups=1):
    """Sums of images of a molecule with white noise, dealt out to groups."""
    generator = torch.Generator().manual_seed(1)
    pixels = FourierPixels.inside(N, PIXEL, RESOLUTION)
    points = torch.einsum("pc,bci->bpi", pixels.frequency.double(), rotation[:, :2])
    data = blobs.transform(points).to(torch.complex64)
    data = data + noise * torch.randn(data.shape, generator=generator, dtype=torch.complex64)
    sums = FourierSums.zeros(groups, N, PIXEL, RESOLUTION)
    for group in range(groups):
        part = slice(group, None, groups)
        insert(sums, group, rotation[part], data[part], torch.ones(data[part].shape), pixels)
    return sums


@pytest.mark.parametrize("name", HELICES)
def test_winding_leaves_a_helix_as_it_is(name):
    helix, inside = HELICES[name], (FROM_AXIS < 0.35 * LENGTH) & (HEIGHT < 0.4 * LENGTH)
    truth = filament(Symmetry.named("C1", helix), 1.5 * LENGTH).volume(N, PIXEL)
    assert error(wind(truth, helix, PIXEL), truth, inside) < 2e-3
    mirrored = Helix(5, -helix.twist_rad, helix.rise_angstrom)
    assert error(wind(truth, mirrored, PIXEL), truth, inside) > 0.2
    middle = truth * (HEIGHT < 45.0)
    assert error(middle, truth, inside) > 0.3
    assert error(wind(middle, helix, PIXEL), truth, inside) < 0.02


@pytest.mark.parametrize("name", HELICES)
@pytest.mark.parametrize("size", [N, N + 1])
def test_operators_leave_a_wound_map_unchanged(name, size):
    """Away from the ends, whatever it was made from."""
    helix, (from_axis, height) = HELICES[name], coordinates(size, PIXEL)
    noise = torch.randn(size, size, size, generator=torch.Generator().manual_seed(3))
    blurred = low_pass(noise * cosine_step(from_axis.float(), 50.0, 20.0), PIXEL, 9.0)
    found, inside = wind(blurred, helix, PIXEL), (from_axis < 40) & (height < 0.2 * LENGTH)
    assert error(found, blurred, inside) > 0.5
    for rotation, shift in zip(*helix.screws(-2, 2), strict=True):
        assert error(move_map(found, RigidMotion(rotation, shift), PIXEL), found, inside) < 0.03


@pytest.mark.parametrize(("name", "group"), CASES)
def test_sums_over_operators_are_the_mean_of_moved_molecules(name, group):
    """The molecule itself is not symmetric; the slow way moves its blobs, and the fall-off with them."""
    symmetry = Symmetry.named(group, HELICES[name])
    blobs = Blobs.molecule(0.17 * LENGTH, SIGMA)
    sums = sums_of(blobs, rotations_everywhere(300))
    n, pixel = sums.size, sums.pixel_size_angstrom
    data, weight = combine(sums, [0], symmetry)
    spectrum = torch.where(weight > 0, data / weight.clamp(min=1e-6), 0)
    found = centred_irfft3(spectrum, n) / pixel**3
    place = torch.stack(torch.meshgrid(*[(torch.arange(n) - n // 2) * pixel] * 3, indexing="ij")[::-1], -1).double()
    truth, falls = torch.zeros_like(found).double(), torch.zeros_like(found).double()
    for rotation, shift in zip(*symmetry.operators(), strict=True):
        axes = torch.where((rotation - rotation.round()).abs().lt(1e-6).all(0), 2, 4)
        falls_there = (torch.sinc((place - shift) @ rotation / LENGTH) ** axes).prod(-1)
        truth += moved(blobs, (rotation[None], shift[None])).volume(n, pixel) * falls_there / len(symmetry)
        falls += falls_there / len(symmetry)
    assert error(found, truth, coordinates(n, pixel)[0] < 0.25 * LENGTH) < 0.07
    assert torch.allclose(fall_off(n, symmetry, LENGTH).double(), falls, atol=1e-4)


@pytest.mark.parametrize(("name", "group"), [case for case in CASES if case[0] != "fine"])
def test_density_gives_back_the_helix(name, group):
    """Images show no more of the filament than the box holds."""
    symmetry = Symmetry.named(group, HELICES[name])
    sums = sums_of(filament(symmetry, LENGTH / 2), rotations_everywhere(400))
    pixel = sums.pixel_size_angstrom
    mask = spherical_mask(sums.size, pixel, DIAMETER, 9.0)
    truth = filament(symmetry, 1.5 * LENGTH).volume(sums.size, pixel).float() * mask
    found = density(sums, [0], symmetry) * mask
    assert float((found * truth).sum() / truth.square().sum()) == pytest.approx(1, abs=0.025)
    assert float(fourier_shell_correlation(found, truth)[1 : sums.last_shell].min()) > 0.99


def test_symmetry_brings_the_map_nearer_to_the_truth():
    """A short noisy tilt series of a lying filament, in which a cone of directions is never seen."""
    symmetry = Symmetry.named("C1", HELICES["right-handed"])
    generator = torch.Generator().manual_seed(5)
    turn = 2 * math.pi * torch.rand(20, generator=generator, dtype=torch.float64)
    tilt = torch.linspace(-1, 1, 20, dtype=torch.float64)
    lying = rotation_y(torch.full((20,), math.pi / 2, dtype=torch.float64))
    rotation = rotation_y(tilt) @ rotation_z(turn) @ lying @ rotation_z(turn.roll(1))
    sums = sums_of(filament(symmetry, LENGTH / 2), rotation, noise=8.0, groups=2)
    mask = spherical_mask(sums.size, sums.pixel_size_angstrom, DIAMETER, 9.0)
    truth = filament(symmetry, 1.5 * LENGTH).volume(sums.size, sums.pixel_size_angstrom).float() * mask
    curves = [
        fourier_shell_correlation(density(sums, [0, 1], how) * mask, truth)[2:12] for how in (symmetry, NO_SYMMETRY)
    ]
    assert bool((curves[0] > curves[1]).all())
    assert float((curves[0] - curves[1]).mean()) > 0.1
    mirrored = Symmetry.named("C1", Helix(5, -math.radians(27.3), 13.1))
    wrong = fourier_shell_correlation(density(sums, [0, 1], mirrored) * mask, truth)[2:12]
    assert float(wrong.mean()) < float(curves[1].mean())


def test_half_maps_and_references_are_helices():
    helix = HELICES["left-handed"]
    symmetry = Symmetry.named("C1", helix)
    sums = sums_of(filament(symmetry, LENGTH / 2), rotations_everywhere(60), noise=8.0, groups=4)
    settings = ReferenceSettings(DIAMETER, 0.0, 2.0)
    ball = spherical_mask(sums.size, sums.pixel_size_angstrom, DIAMETER, 9.0)
    halves = half_maps(sums, symmetry, settings, ball)
    from_axis, height = coordinates(sums.size, sums.pixel_size_angstrom)
    references = reference_maps(sums, halves, symmetry, settings)
    assert float((references[0] - references[1]).norm() / references[0].norm()) > 0.01
    inside = (from_axis < 0.25 * DIAMETER) & (height < 0.2 * DIAMETER)
    rotation, shift = helix.screws(1, 1)
    screw = RigidMotion(rotation[0], shift[0])
    for volume in (halves.first, halves.second, *references):
        smooth = low_pass(volume, sums.pixel_size_angstrom, 9.0)
        assert error(move_map(smooth, screw, sums.pixel_size_angstrom), smooth, inside) < 0.05


@pytest.mark.parametrize("name", HELICES)
@pytest.mark.parametrize("radius", [30.0, 80.0])
def test_chance_correlates_helical_noise_as_its_independent_part_says(name, radius):
    """Scatter of the correlation over what is expected, against the same for noise without symmetry."""
    shape = spherical_mask(N, PIXEL, DIAMETER, 9.0) * cosine_step(FROM_AXIS.float(), radius, 9.0)
    mask, shells = MaskResult(shape, "density", float(shape.mean())), slice(5, 20)

    def scatter(symmetry, make):
        curves = []
        for seed in range(6):
            generator = torch.Generator().manual_seed(seed)
            pair = [make(torch.randn(N, N, N, generator=generator)) * shape for _ in range(2)]
            curves.append(fourier_shell_correlation(*pair)[shells])
        independent = shell_counts(N)[shells] / 2 * independent_fraction(mask, PIXEL, symmetry)
        return float((torch.stack(curves).square() * independent).mean().sqrt())

    helix = HELICES[name]
    plain = scatter(NO_SYMMETRY, lambda noise: noise)
    assert 0.65 < scatter(Symmetry.named("C1", helix), lambda noise: wind(noise, helix, PIXEL)) / plain < 1.1
