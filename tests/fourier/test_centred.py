import math

import pytest
import torch

from mlit.fourier.centred import centred_irfft3, centred_irfftn, centred_rfftn


@pytest.mark.parametrize("n", [7, 8])
def test_point_at_the_centre_has_flat_real_spectrum(n):
    volume = torch.zeros(n, n, n)
    volume[n // 2, n // 2, n // 2] = 1
    torch.testing.assert_close(centred_rfftn(volume, 3), torch.ones(n, n, n // 2 + 1, dtype=torch.complex64))


@pytest.mark.parametrize("size", [(6, 8), (7, 5), (8, 9)])
def test_against_the_defining_sum(size):
    image = torch.randn(3, *size, dtype=torch.float64)
    spectrum = centred_rfftn(image, 2)
    y = torch.arange(size[0], dtype=torch.float64) - size[0] // 2
    x = torch.arange(size[1], dtype=torch.float64) - size[1] // 2
    ky, kx = 1, 2
    phase = torch.exp(-2j * math.pi * (ky * y[:, None] / size[0] + kx * x[None] / size[1]))
    torch.testing.assert_close(spectrum[:, ky, kx], (image * phase).sum((-2, -1)))
    torch.testing.assert_close(centred_irfftn(spectrum, size), image)


@pytest.mark.parametrize("n", [5, 6])
def test_round_trip_in_three_dimensions(n):
    volume = torch.randn(2, n, n, n)
    spectrum = centred_rfftn(volume, 3)
    torch.testing.assert_close(centred_irfft3(spectrum, n), volume)
    torch.testing.assert_close(centred_irfftn(spectrum, (n, n, n)), volume)
