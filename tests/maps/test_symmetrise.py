"""The average over a group: by cosets against the plain one, and of whole maps against exact ones."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from scipy import ndimage

from mlit.fourier.resize import resample_map
from mlit.fourier.trilinear import corners
from mlit.geometry.map_symmetry import Symmetry
from mlit.maps.filters import low_pass
from mlit.maps.fsc import fourier_shell_correlation
from mlit.maps.mask import spherical_mask
from mlit.maps.reconstruction import density
from mlit.maps.symmetrise import fall_off, split_group, symmetrise
from tests.brute_force import Blobs, sums_of_map

SIZE = 20
GROUPS = ["C1", "C3", "D2", "D5", "T", "O", "I1", "I2", "I3", "I4"]


def random_grid():
    """Transform of a real map of noise, and weights that are as even."""
    generator = torch.Generator().manual_seed(2)
    maps = torch.randn(2, SIZE, SIZE, SIZE, generator=generator)
    signal, even = torch.fft.fftshift(torch.fft.rfftn(maps, dim=(1, 2, 3)), dim=(1, 2))
    return torch.stack([signal.real, signal.imag, even.abs()], -1)


def plain_sum(grid, operators):
    """Every point of the grid looked up at every operator, by interpolation."""
    axis = torch.arange(SIZE, dtype=torch.float32) - SIZE // 2
    z, y, x = torch.meshgrid(axis, axis, torch.arange(SIZE // 2 + 1, dtype=torch.float32), indexing="ij")
    inside = x.square() + y.square() + z.square() < (SIZE / 2 - 1.5) ** 2
    points = torch.stack([x[inside], y[inside], z[inside]])
    out = torch.zeros_like(grid)
    for operator in operators.float():
        turned = operator @ points
        around = corners(turned[0], turned[1], turned[2], SIZE)
        values = F.embedding_bag(around.index, grid.reshape(-1, 3), per_sample_weights=around.weight, mode="sum")
        values[:, 1] *= torch.where(around.mate, -1.0, 1.0)
        out[inside] += values
    return out


@pytest.mark.parametrize("name", GROUPS)
def test_cosets_give_the_sum_over_all_operators(name):
    symmetry, grid = Symmetry.named(name), random_grid()
    found, expected = symmetrise(grid, symmetry, SIZE), plain_sum(grid, symmetry.point_group)
    assert float((found - expected).norm() / expected.norm()) < 1e-5


@pytest.mark.parametrize("name", GROUPS)
def test_products_of_the_parts_are_the_group(name):
    operators = Symmetry.named(name).point_group
    onto_grid, (cosets, _) = split_group(Symmetry(operators))
    products = torch.einsum("tij,cjk->ctik", onto_grid, cosets).flatten(0, 1)
    assert len(products) == len(operators)
    distance = torch.cdist(products.flatten(1), operators.flatten(1))
    assert distance.argmin(1).unique().numel() == len(operators)
    assert float(distance.min(1).values.max()) < 1e-6


def test_icosahedral_sums_take_five_interpolations():
    onto_grid, (cosets, _) = split_group(Symmetry.named("I"))
    assert (len(onto_grid), len(cosets)) == (12, 5)


@pytest.mark.parametrize("name", ["C3", "D2", "I"])
def test_symmetric_sums_stay_as_they_are_under_every_operator_of_the_grid(name):
    """Summing again multiplies by the order, where operators map the grid onto itself."""
    onto_grid, _ = split_group(Symmetry.named(name))
    once = symmetrise(random_grid(), Symmetry(onto_grid), SIZE)
    assert torch.allclose(symmetrise(once, Symmetry(onto_grid), SIZE), len(onto_grid) * once, atol=1e-2)


@pytest.mark.parametrize("name", ["C3", "I3"])
def test_fall_off_sampled_coarsely_is_that_of_its_definition(name):
    size, symmetry = 130, Symmetry.named(name)
    axis = (torch.arange(size, dtype=torch.float64) - size // 2) / size
    rows = slice(size // 2, size // 2 + 1)
    z, y, x = torch.meshgrid(axis[rows], axis, axis, indexing="ij")
    place = torch.stack([x, y, z], -1)
    expected = torch.zeros_like(x)
    for operator in symmetry.point_group:
        on_grid = ((operator - operator.round()).abs() < 1e-6).all(1)
        expected += (torch.sinc(place @ operator.T) ** torch.where(on_grid, 2, 4)).prod(-1) / len(symmetry)
    inside = place.norm(dim=-1) < 0.4
    ratio = fall_off(size, symmetry, 1.0)[rows] / expected
    assert float((ratio - 1)[inside].abs().max()) < 5e-4


N, PIXEL = 48, 2.0
BALL = spherical_mask(N, PIXEL, 0.5 * N * PIXEL, 4.0)


def averaged_by_splines(volume, operators):
    """Mean of a map read at the turned places of its voxels, by splines of a map sampled twice as finely."""
    fine = ndimage.spline_filter(resample_map(volume, 2 * N).numpy(), order=5, output=np.float32)
    axis = np.arange(N) - N // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    places = [2 * np.stack([x, y, z], -1) @ operator + N for operator in operators.numpy()]
    read = [ndimage.map_coordinates(fine, where[..., ::-1].T, order=5, prefilter=False) for where in places]
    return torch.from_numpy(np.mean(read, axis=0).T).float()


@pytest.mark.parametrize("name", ["C1", "C3", "D2", "D7", "T", "O", "I1", "I2", "I3", "I4"])
def test_a_whole_map_is_averaged_as_its_exact_density(name):
    """From complete sums; a molecule in half of the box, up to nine tenths of the Nyquist frequency."""
    symmetry, blobs = Symmetry.named(name), Blobs.molecule(0.2 * N * PIXEL, 1.1 * PIXEL, count=100)
    found = density(sums_of_map(blobs.volume(N, PIXEL), PIXEL), [0], symmetry) * BALL
    truth = blobs.turned(symmetry.point_group).volume(N, PIXEL).float() * BALL
    curve = fourier_shell_correlation(found, truth)[1:22]
    assert float(curve.min()) > 0.996
    assert float((found * truth).sum() / truth.square().sum()) == pytest.approx(1, abs=0.006)


@pytest.mark.parametrize("name", ["C3", "D2", "T"])
def test_a_map_of_any_kind_is_averaged_as_splines_do(name):
    """Noise up to 0.8 of the Nyquist frequency in a ball."""
    symmetry = Symmetry.named(name)
    noise = torch.randn(N, N, N, generator=torch.Generator().manual_seed(4))
    volume = low_pass(noise * spherical_mask(N, PIXEL, 0.4 * N * PIXEL, 8.0), PIXEL, 2 * PIXEL / 0.8)
    found = density(sums_of_map(volume, PIXEL), [0], symmetry) * BALL
    expected = averaged_by_splines(volume, symmetry.point_group) * BALL
    assert float(fourier_shell_correlation(found, expected)[1:17].min()) > 0.99
    assert float(torch.corrcoef(torch.stack([found[BALL > 0.9], expected[BALL > 0.9]]))[0, 1]) > 0.997
