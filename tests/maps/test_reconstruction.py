"""Maps from exact, noise-free images of a known molecule."""

import pytest
import torch

from mlit.deformation.local_coordinates import View
from mlit.fourier.centred import centred_irfft3
from mlit.fourier.insertion import FourierSums, insert
from mlit.fourier.pixels import FourierPixels
from mlit.fourier.shells import frequency_radius, shell_index, shell_mean
from mlit.geometry.map_symmetry import NO_SYMMETRY, Symmetry
from mlit.likelihood.particle_images import ParticleImages
from mlit.maps.fsc import fourier_shell_correlation
from mlit.maps.reconstruction import combine, density, insert_particles
from tests.brute_force import Blobs, no_aberrations, plane_coordinates, rotations_everywhere

BOX, PIXEL, RESOLUTION = 28, 2.0, 4.8


def noise_free(blobs, rotation, seed=0):
    """Pixels, data and weight of images with uneven weights, as CTFs give them."""
    pixels = FourierPixels.inside(BOX, PIXEL, RESOLUTION)
    points = torch.einsum("pc,bci->bpi", pixels.frequency.double(), rotation[:, :2])
    weight = 0.05 + torch.rand(points.shape[:2], generator=torch.Generator().manual_seed(seed))
    return pixels, blobs.transform(points).to(torch.complex64) * weight, weight


def band_limited(blobs, sums):
    """The molecule up to the last shell of the sums, on their grid."""
    axis = torch.fft.fftfreq(sums.size, sums.pixel_size_angstrom, dtype=torch.float64)
    half = torch.fft.rfftfreq(sums.size, sums.pixel_size_angstrom, dtype=torch.float64)
    z, y, x = torch.meshgrid(axis, axis, half, indexing="ij")
    spectrum = blobs.transform(torch.stack([x, y, z], -1))
    spectrum = torch.where(shell_index(sums.size) <= sums.last_shell, spectrum, 0)
    return centred_irfft3(spectrum, sums.size) / sums.pixel_size_angstrom**3


def slope(found, truth, sums, low, high):
    """Grey scale of a map against the truth between two radii (fractions of the box)."""
    radius = plane_coordinates(sums.size, 1 / sums.size, 3).norm(dim=1)
    ring = ((radius >= low) & (radius < high)).reshape(truth.shape)
    return float((found[ring] * truth[ring]).sum() / truth[ring].square().sum())


@pytest.mark.parametrize("name", ["C1", "C3", "D2", "C5"])
def test_density_gives_back_the_molecule(name):
    """Measured: grey scale within 0.5 %, 1 % in the outermost ring."""
    symmetry = Symmetry.named(name)
    blobs = Blobs.molecule(0.2 * BOX * PIXEL, 1.6 * PIXEL).turned(symmetry.point_group)
    rotation = rotations_everywhere(300)
    pixels, data, weight = noise_free(blobs, rotation)
    sums = FourierSums.zeros(2, BOX, PIXEL, RESOLUTION)
    insert(sums, 1, rotation, data, weight, pixels)
    found, truth = density(sums, [1], symmetry).double(), band_limited(blobs, sums)
    assert slope(found, truth, sums, 0, 0.1) == pytest.approx(1, abs=0.02)
    assert slope(found, truth, sums, 0.1, 0.2) == pytest.approx(1, abs=0.02)
    assert slope(found, truth, sums, 0.2, 0.3) == pytest.approx(1, abs=0.03)
    inside = plane_coordinates(sums.size, 1 / sums.size, 3).norm(dim=1).reshape(found.shape) < 0.3
    curve = fourier_shell_correlation((found * inside).float(), (truth * inside).float())
    assert float(curve[1 : sums.last_shell].min()) > 0.99


@pytest.mark.parametrize("name", ["C3", "D2"])
def test_operators_equal_inserting_every_particle_in_all_orientations(name):
    """The molecule itself is not symmetric: both ways average it."""
    symmetry = Symmetry.named(name)
    blobs = Blobs.molecule(0.2 * BOX * PIXEL, 1.6 * PIXEL)
    rotation = rotations_everywhere(300, seed=1)
    pixels, data, weight = noise_free(blobs, rotation)
    short, long = (FourierSums.zeros(1, BOX, PIXEL, RESOLUTION) for _ in range(2))
    insert(short, 0, rotation, data, weight, pixels)
    for operator in symmetry.point_group:
        insert(long, 0, rotation @ operator, data, weight, pixels)
    one, other = density(short, [0], symmetry), density(long, [0], NO_SYMMETRY)
    radius = plane_coordinates(short.size, 1 / short.size, 3).norm(dim=1).reshape(one.shape)
    difference = ((one - other) * (radius < 0.3)).norm() / (other * (radius < 0.3)).norm()
    assert float(difference) < 0.03
    total, expected = combine(short, [0], symmetry)[1], combine(long, [0], NO_SYMMETRY)[1]
    shells = slice(2, short.last_shell)
    ratio = shell_mean(total, short.size)[shells] / shell_mean(expected, long.size)[shells]
    assert torch.allclose(ratio, torch.ones_like(ratio), atol=0.03)


def test_combined_sums_are_hermitian():
    """What is inserted near kx = 0 reaches both mates, so that the plane is that of a real map."""
    rotation = rotations_everywhere(20)
    sums = FourierSums.zeros(1, BOX, PIXEL, RESOLUTION)
    pixels, images, power = noise_free(Blobs.molecule(12.0, 3.2), rotation)
    insert(sums, 0, rotation, images, power, pixels)
    data, weight = combine(sums, [0], NO_SYMMETRY)
    plane, heavy = data[:, :, 0], weight[:, :, 0]
    assert torch.allclose(plane, torch.roll(plane.flip(0, 1), (1, 1), (0, 1)).conj(), atol=1e-3)
    assert torch.allclose(heavy, torch.roll(heavy.flip(0, 1), (1, 1), (0, 1)))


def test_weight_is_the_information_in_each_voxel():
    """The factor |k| of the sums is taken out again: uniform slices leave 1 / (2 k) images in a voxel."""
    rotation = rotations_everywhere(600)
    pixels = FourierPixels.inside(BOX, PIXEL, RESOLUTION)
    sums = FourierSums.zeros(1, BOX, PIXEL, RESOLUTION)
    weight = torch.ones(600, pixels.count)
    insert(sums, 0, rotation, weight.to(torch.complex64), weight, pixels)
    total = shell_mean(combine(sums, [0], NO_SYMMETRY)[1], sums.size)
    shell = torch.arange(sums.size // 2 + 1)
    inner = slice(3, sums.last_shell)
    assert torch.allclose(total[inner] * 2 * shell[inner] / 600, torch.ones(sums.last_shell - 3), atol=0.06)


def test_groups_add_and_the_prior_shrinks_towards_zero():
    blobs, rotation = Blobs.molecule(0.2 * BOX * PIXEL, 1.6 * PIXEL), rotations_everywhere(400)
    pixels, data, weight = noise_free(blobs, rotation)
    split, whole = FourierSums.zeros(2, BOX, PIXEL, RESOLUTION), FourierSums.zeros(1, BOX, PIXEL, RESOLUTION)
    insert(whole, 0, rotation, data, weight, pixels)
    for group in (0, 1):
        insert(split, group, rotation[group::2], data[group::2], weight[group::2], pixels)
    none = NO_SYMMETRY
    together = density(whole, [0], none)
    assert torch.allclose(density(split, [0, 1], none), together, atol=1e-3 * float(together.abs().max()))
    weak = torch.full((whole.size // 2 + 1,), 1e-6)
    assert float((density(whole, [0], none, weak) - together).norm() / together.norm()) < 0.02
    mean = shell_mean(combine(whole, [0], none)[1], whole.size)
    half = density(whole, [0], none, mean)
    inner = slice(3, whole.last_shell - 1)
    power = shell_mean(torch.fft.rfftn(half).abs().square(), whole.size)
    full = shell_mean(torch.fft.rfftn(together).abs().square(), whole.size)
    assert torch.allclose((power / full).sqrt()[inner], torch.full((whole.last_shell - 4,), 0.5), atol=0.1)


def test_nothing_lies_beyond_the_resolution():
    rotation = rotations_everywhere(50)
    _, data, weight = noise_free(Blobs.molecule(10.0, 2.0), rotation)
    sums = FourierSums.zeros(1, BOX, PIXEL, 9.0)
    coarse = FourierPixels.inside(BOX, PIXEL, 9.0)
    insert(sums, 0, rotation, data[:, : coarse.count], weight[:, : coarse.count], coarse)
    data, weight = combine(sums, [0], NO_SYMMETRY)
    beyond = frequency_radius(sums.size) > sums.length_angstrom / 9.0 + 2
    assert float(weight[beyond].abs().max()) == 0
    assert bool(torch.isfinite(density(sums, [0], NO_SYMMETRY)).all())


def test_particles_are_inserted_with_their_own_ctf_power_and_amplitude():
    """One particle alone, two tilts, one left out, another unseen: compare with insertion by hand."""
    blobs, generator = Blobs.molecule(10.0, 3.0), torch.Generator().manual_seed(0)
    pixels = FourierPixels.inside(BOX, PIXEL, RESOLUTION)
    rotation = rotations_everywhere(6).reshape(2, 3, 3, 3)
    points = torch.einsum("pc,btci->btpi", pixels.frequency.double(), rotation[..., :2, :])
    data = blobs.transform(points).to(torch.complex64)
    power, cosine, sine = (torch.rand(3, pixels.count, generator=generator) for _ in range(3))
    slope_rad = torch.linspace(0, -20, pixels.count)
    defocus = torch.tensor([[2.0, 3.0, 4.0], [2.1, 3.2, 3.9]]).double()
    middle, valid = (
        torch.tensor([2.05, 3.1, 3.95]).double(),
        torch.tensor([[True, True, True], [True, False, True]]),
    )
    images = ParticleImages(
        pixels,
        data,
        data[:, :0],
        power,
        cosine,
        sine,
        slope_rad,
        torch.zeros(2, 3, 2),
        defocus,
        middle,
        valid,
    )
    amplitude = torch.tensor([0.8, 1.3, 0.0]).double()
    share = torch.tensor([[1.0, 0.3, 1.0], [0.6, 0.0, 1.0]]).double()
    sums, byhand = FourierSums.zeros(2, BOX, PIXEL, RESOLUTION), FourierSums.zeros(2, BOX, PIXEL, RESOLUTION)
    insert_particles(
        sums,
        images,
        View(images.xy_angstrom, rotation, defocus, no_aberrations(defocus.shape[1])),
        torch.tensor([1, 0]),
        amplitude,
        share,
    )
    for particle, tilt, group in ((0, 0, 1), (0, 1, 1), (1, 0, 0)):
        twice = (2 * (defocus[particle, tilt] - middle[tilt]) * slope_rad).float()
        weight = (power[tilt] - cosine[tilt] * torch.cos(twice) + sine[tilt] * torch.sin(twice)) / 2
        a, s = float(amplitude[tilt]), float(share[particle, tilt])
        insert(
            byhand,
            group,
            rotation[particle, tilt, None],
            s * a * data[particle, tilt, None],
            s * a**2 * weight[None],
            pixels,
        )
    assert torch.allclose(sums.rows, byhand.rows, atol=1e-3)
