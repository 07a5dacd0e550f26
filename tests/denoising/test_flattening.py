"""Flat spectra."""

import torch

from mlit.denoising.flattening import Flattening
from mlit.fourier.shells import shell_mean, spectral_power
from mlit.maps.filters import filter_by_shells

N = 32


def falling():
    """Noise whose amplitude falls a thousandfold."""
    generator = torch.Generator().manual_seed(1)
    curve = torch.logspace(0, -3, N // 2 + 1)
    return filter_by_shells(torch.randn(N, N, N, generator=generator), curve)


def flattening(volume):
    return Flattening.of_signal(volume, torch.full((N // 2 + 1,), 0.9), 2, N // 2)


def test_restoring_undoes_flattening():
    volume = falling()
    found = flattening(volume)
    torch.testing.assert_close(found.restore(found.flatten(volume)), volume, rtol=1e-4, atol=1e-5)


def test_spectrum_becomes_flat():
    volume = falling()
    power = shell_mean(spectral_power(torch.fft.rfftn(flattening(volume).flatten(volume))), N)[3 : N // 2 - 1]
    assert float(power.max() / power.min()) < 2.5


def test_noise_does_not_pass_for_signal():
    """Where half of the power is noise, the amplitude of the signal is what maps are divided by."""
    volume, fsc = falling(), torch.full((N // 2 + 1,), 0.98)
    fsc[N // 2 - 5 :] = 1e-3
    assert float(flattening(volume).amplitude.min()) < 1e-2
    weak = Flattening.of_signal(volume, fsc, 2, N // 2).amplitude
    strong = Flattening.of_signal(volume, torch.full_like(fsc, 0.98), 2, N // 2).amplitude
    assert float((weak / strong)[0, 0, N // 2 - 1] / (weak / strong)[0, 0, 4]) < 0.2
