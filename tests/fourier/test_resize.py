import numpy as np
import pytest
import torch
from scipy.signal import resample

from mlit.fourier.resize import (
    crop_or_pad,
    fourier_resize,
    resample_map,
    resample_to_pixel_size,
    resize_spectrum,
)


def centred_resample(array, size, dims):
    """SciPy's band-limited resampling along each axis, about the centre."""
    axes = range(array.ndim - dims, array.ndim)
    array = np.fft.ifftshift(array, axes)
    for axis in axes:
        array = resample(array, size, axis=axis)
    return np.fft.fftshift(array, axes)


@pytest.mark.parametrize(("n", "size"), [(8, 12), (12, 8), (8, 7), (7, 8), (9, 5), (5, 9), (6, 6), (7, 6), (6, 7)])
@pytest.mark.parametrize("dims", [2, 3])
def test_fourier_resize_agrees_with_scipy(n, size, dims):
    array = np.random.default_rng(n).normal(size=(2,) + (n,) * dims)
    result = fourier_resize(torch.from_numpy(array), size, dims)
    torch.testing.assert_close(result, torch.from_numpy(centred_resample(array, size, dims)))


@pytest.mark.parametrize(("n", "size"), [(8, 12), (8, 9), (7, 10), (7, 9)])
def test_cropping_undoes_padding(n, size):
    volume = torch.randn(n, n, n, dtype=torch.float64)
    torch.testing.assert_close(resample_map(resample_map(volume, size), n), volume)


def test_grey_values_and_centre_are_kept():
    n, size = 32, 20
    axis = torch.arange(n, dtype=torch.float64) - n // 2
    image = 3 + torch.exp(-(axis[:, None].square() + axis.square()) / 2 / 3.0**2)
    small = fourier_resize(image[None], size, 2)[0]
    axis = (torch.arange(size, dtype=torch.float64) - size // 2) * n / size
    expected = 3 + torch.exp(-(axis[:, None].square() + axis.square()) / 2 / 3.0**2)
    torch.testing.assert_close(small, expected, atol=2e-4, rtol=0)


def test_resized_spectrum_is_that_of_a_real_map():
    volume = torch.randn(8, 8, 8, dtype=torch.float64)
    cropped = resize_spectrum(torch.fft.rfftn(volume), 8, 6, 3)
    torch.testing.assert_close(torch.fft.rfftn(torch.fft.irfftn(cropped, s=(6, 6, 6))), cropped)


@pytest.mark.parametrize(("n", "size"), [(6, 9), (9, 6), (7, 12), (12, 7), (8, 8)])
def test_crop_or_pad_keeps_the_centre(n, size):
    volume = torch.zeros(2, n, n, n)
    volume[:, n // 2, n // 2, n // 2] = 1
    result = crop_or_pad(volume, size, 3)
    assert result.shape == (2, size, size, size)
    assert result[:, size // 2, size // 2, size // 2].tolist() == [1, 1]
    assert float(result.sum()) == 2


def test_padding_value_and_unequal_axes():
    result = crop_or_pad(torch.zeros(3, 8), 6, 2, value=5.0)
    assert result.shape == (6, 6)
    assert float(result[0, 0]) == 5
    assert result[2:5].sum() == 0


@pytest.mark.parametrize(("n", "size", "new"), [(32, 48, 0.77), (33, 20, 1.6), (32, 32, 1.0), (24, 40, 1.3)])
def test_resampling_to_any_pixel_size(n, size, new):
    def bump(count, pixel):
        axis = (torch.arange(count, dtype=torch.float64) - count // 2) * pixel - 0.4
        return torch.exp(-(axis[:, None, None].square() + axis[:, None].square() + axis.square()) / 2 / 2.2**2)

    result = resample_to_pixel_size(bump(n, 1.0), 1.0, new, size)
    torch.testing.assert_close(result, bump(size, new), atol=1e-3, rtol=0)


def test_resampling_to_the_same_pixel_size_changes_nothing():
    volume = torch.randn(10, 10, 10, dtype=torch.float64)
    torch.testing.assert_close(resample_to_pixel_size(volume, 2.0, 2.0, 10), volume)


def test_unequal_edges_are_refused():
    with pytest.raises(ValueError, match="equal edges"):
        fourier_resize(torch.zeros(6, 8), 4, 2)
