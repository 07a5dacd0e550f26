import numpy as np
import pytest
import torch

from mlit.fourier.shells import (
    cube_edge,
    frequency_radius,
    friedel_weights,
    shell_counts,
    shell_frequencies,
    shell_index,
    shell_mean,
    shell_sum,
    spectral_power,
)


def full_shells(n, dims):
    k = np.fft.fftfreq(n) * n
    grids = np.meshgrid(*[k] * dims, indexing="ij")
    return np.round(np.sqrt(sum(g**2 for g in grids))).astype(int)


@pytest.mark.parametrize("n", [7, 8, 12])
@pytest.mark.parametrize("dims", [2, 3])
def test_shell_sum_equals_sum_over_the_full_transform(n, dims):
    image = np.random.default_rng(n).normal(size=(2,) + (n,) * dims)
    axes = tuple(range(1, dims + 1))
    power = np.abs(np.fft.fftn(image, axes=axes)) ** 2
    expected = np.stack([np.bincount(full_shells(n, dims).ravel(), p.ravel())[: n // 2 + 1] for p in power])
    half = torch.fft.rfftn(torch.from_numpy(image), dim=axes).abs().square()
    torch.testing.assert_close(shell_sum(half, n, dims), torch.from_numpy(expected))
    counts = np.bincount(full_shells(n, dims).ravel())[: n // 2 + 1]
    torch.testing.assert_close(shell_mean(half, n, dims), torch.from_numpy(expected / counts))
    assert shell_counts(n, dims).tolist() == counts.tolist()


@pytest.mark.parametrize("n", [5, 6])
def test_friedel_weights_count_every_coefficient_once(n):
    assert float(friedel_weights(n).sum()) == n


def test_index_marks_corners_and_is_cached():
    index = shell_index(8)
    assert index.max() == 5
    assert index[4, 4, 4] == 5
    assert index[0, 0, 4] == 4
    assert shell_index(8) is index


def test_frequencies_in_reciprocal_angstrom():
    frequency = shell_frequencies(10, 2.0)
    assert frequency.dtype == torch.float64
    assert frequency.tolist() == pytest.approx([0, 0.05, 0.1, 0.15, 0.2, 0.25])
    assert float(frequency_radius(10)[3, 0, 4]) == pytest.approx(5)


def test_float32_sums_keep_precision():
    values = torch.ones(64, 64, 33) / 3
    torch.testing.assert_close(shell_mean(values, 64), torch.full((33,), 1 / 3), rtol=1e-6, atol=0)


def test_shell_sum_is_differentiable():
    values = torch.rand(6, 6, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: shell_sum(v, 6), (values,))


def test_wrong_layout_is_refused():
    with pytest.raises(ValueError, match="rfftn layout"):
        shell_sum(torch.zeros(8, 8, 8), 8)
    with pytest.raises(ValueError, match="cubic"):
        cube_edge(torch.zeros(8, 8, 6))


def test_spectral_power_is_the_squared_modulus():
    spectrum = torch.tensor([3 + 4j, -2j, 0j])
    torch.testing.assert_close(spectral_power(spectrum), torch.tensor([25.0, 4.0, 0.0]))
