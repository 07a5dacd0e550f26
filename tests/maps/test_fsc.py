import numpy as np
import pytest
import torch

from mlit.fourier.shells import shell_counts, shell_frequencies
from mlit.maps.filters import filter_by_shells
from mlit.maps.fsc import (
    fourier_shell_correlation,
    fsc_curves,
    last_significant_shell,
    resolution_angstrom,
    smooth_fsc,
    wiener_weights,
)
from mlit.maps.mask import spherical_mask

PIXEL = 2.0


def noise(n, seed):
    return torch.randn(n, n, n, generator=torch.Generator().manual_seed(seed))


def noisy_pair(n, snr, seed=0):
    """Half maps whose correlation is snr / (1 + snr) in every shell."""
    signal = filter_by_shells(noise(n, seed), snr.sqrt())
    return signal + noise(n, seed + 1), signal + noise(n, seed + 2), signal


@pytest.mark.parametrize("n", [15, 16])
def test_against_brute_force(n):
    a, b = noise(n, 0).double(), noise(n, 1).double() + noise(n, 0).double()
    fa, fb = np.fft.fftn(a.numpy()), np.fft.fftn(b.numpy())
    k = np.fft.fftfreq(n) * n
    radius = np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + k**2)
    for shell, value in enumerate(fourier_shell_correlation(a, b).tolist()):
        chosen = np.round(radius) == shell
        cross = (fa * fb.conj())[chosen].sum().real
        expected = cross / np.sqrt((abs(fa[chosen]) ** 2).sum() * (abs(fb[chosen]) ** 2).sum())
        assert value == pytest.approx(expected)


def test_against_another_program():
    other = pytest.importorskip("torch_fourier_shell_correlation")
    snr = torch.linspace(3, 0, 25).exp() - 1
    a, b, _ = noisy_pair(48, snr)
    # It shares each coefficient between two shells: the curves agree within the noise of a shell.
    torch.testing.assert_close(
        fourier_shell_correlation(a, b)[2:-1], other.fourier_shell_correlation(a, b)[2:-1], atol=0.06, rtol=0
    )


def test_invariances_and_empty_shells():
    a, b = noise(16, 0), noise(16, 1)
    torch.testing.assert_close(fourier_shell_correlation(3 * a, 0.5 * a), torch.ones(9))
    torch.testing.assert_close(fourier_shell_correlation(a, -b), -fourier_shell_correlation(b, a))
    assert fourier_shell_correlation(a, torch.zeros_like(a)).abs().max() == 0
    batch = fourier_shell_correlation(torch.stack([a, b]), torch.stack([b, b]))
    torch.testing.assert_close(batch[0], fourier_shell_correlation(a, b))


def test_known_signal_to_noise():
    snr = torch.full((33,), 0.5)
    a, b, _ = noisy_pair(64, snr)
    curve = fourier_shell_correlation(a, b)
    torch.testing.assert_close(curve[5:], torch.full((28,), 1 / 3), atol=0.08, rtol=0)


def test_pure_noise_has_no_resolution():
    n = 48
    mask = spherical_mask(n, PIXEL, 60.0, 10.0)
    curves = fsc_curves(noise(n, 10), noise(n, 11), mask, PIXEL)
    assert (curves.unmasked[1:] < 0.143).float().mean() > 0.85
    assert (curves.corrected[1:] < 0.143).float().mean() > 0.8
    assert resolution_angstrom(curves.unmasked, curves.frequency_per_angstrom) > n * PIXEL / 4


def test_randomisation_takes_away_what_a_tight_mask_adds():
    n = 48
    generator = torch.Generator().manual_seed(5)
    mask = (torch.rand(n // 4, n // 4, n // 4, generator=generator) > 0.9).float()
    mask = mask.repeat_interleave(4, 0).repeat_interleave(4, 1).repeat_interleave(4, 2)
    mask = mask * spherical_mask(n, PIXEL, 50.0, 6.0)
    background = 2.0 * torch.ones(n, n, n)
    curves = fsc_curves(noise(n, 1) + background, noise(n, 2) + background, mask, PIXEL)
    assert curves.masked[3:12].mean() > 0.5
    torch.testing.assert_close(curves.randomised[3:], curves.masked[3:], atol=0.45, rtol=0)
    assert curves.corrected[6:].mean().abs() < 0.1
    assert curves.masked[6:].mean() > curves.corrected[6:].mean() + 0.15


def test_correction_starts_two_shells_beyond_the_randomisation_and_keeps_the_signal():
    n = 64
    snr = torch.where(torch.arange(33) < 10, 100.0, 0.3)
    half1, half2, _ = noisy_pair(n, snr)
    mask = spherical_mask(n, PIXEL, 70.0, 10.0)
    curves = fsc_curves(half1, half2, mask, PIXEL, seed=4)
    first = int((curves.unmasked[1:] < 0.8).nonzero()[0]) + 1
    assert first == 10
    torch.testing.assert_close(curves.corrected[: first + 2], curves.masked[: first + 2])
    rest = slice(first + 2, None)
    expected = (curves.masked - curves.randomised) / (1 - curves.randomised)
    torch.testing.assert_close(curves.corrected[rest], expected[rest])
    assert curves.corrected[15:].mean() == pytest.approx(0.3 / 1.3, abs=0.03)
    assert curves.randomised[15:].abs().mean() < 0.06
    again = fsc_curves(half1, half2, mask, PIXEL, seed=4)
    assert torch.equal(again.randomised, curves.randomised)
    assert curves.resolution_angstrom() == resolution_angstrom(curves.corrected, curves.frequency_per_angstrom)


def test_more_draws_of_random_phases_scatter_less():
    n = 48
    mask = spherical_mask(n, PIXEL, 50.0, 10.0)
    pair = noisy_pair(n, torch.full((25,), 0.3))[:2]

    def scatter(draws):
        curves = [fsc_curves(*pair, mask, PIXEL, seed, draws).randomised[5:] for seed in range(6)]
        return float(torch.stack(curves).std(0).mean())

    assert scatter(4) < 0.65 * scatter(1)


def test_equal_maps_need_no_correction():
    volume = noise(16, 0)
    curves = fsc_curves(volume, volume, spherical_mask(16, PIXEL, 20.0, 4.0), PIXEL)
    torch.testing.assert_close(curves.corrected, torch.ones(9))
    assert curves.resolution_angstrom() == pytest.approx(2 * PIXEL)


def test_resolution_is_interpolated_and_safe_at_the_ends():
    frequency = shell_frequencies(20, 1.0)
    curve = torch.tensor([-1.0, 1, 1, 0.6, 0.4, 0, 0, 0.9, 0, 0, 0])
    assert resolution_angstrom(curve, frequency, 0.5) == pytest.approx(20 / 3.5)
    assert resolution_angstrom(torch.ones(11), frequency) == pytest.approx(2.0)
    assert resolution_angstrom(torch.zeros(11), frequency) == pytest.approx(20.0)


def test_smoothing_keeps_lines_and_bridges_a_dip():
    line = torch.linspace(1, 0.2, 65)
    torch.testing.assert_close(smooth_fsc(line), line, atol=1e-5, rtol=0)
    dipped = line.clone()
    dipped[30:32] = 0.0
    smooth = smooth_fsc(dipped)
    assert smooth[30] > 0.143
    assert smooth[40] == pytest.approx(float(line[40]), abs=1e-3)
    assert (smooth[34:36] > smooth[31]).all()
    rough = line + 0.1 * torch.randn(65, generator=torch.Generator().manual_seed(0))
    assert (smooth_fsc(rough) - line)[5:].std() < 0.5 * (rough - line)[5:].std()


def test_smoothing_keeps_the_steep_start():
    curve = 1 / (1 + (torch.arange(65) / 12.0) ** 6)
    assert (smooth_fsc(curve) - curve).abs().max() < 0.05


def noise_curve(generator, shells):
    counts = shell_counts(2 * (shells - 1))
    return torch.randn(shells, generator=generator) / (counts / 2).clamp(min=1).sqrt()


def test_cutoff_ignores_noise_tails_and_bridges_dips():
    generator = torch.Generator().manual_seed(1)
    truth = torch.where(torch.arange(129) < 40, 0.9, 0.0)
    truth[20:23] = 0.0
    ends = [last_significant_shell((truth + noise_curve(generator, 129)).clamp(-1, 1)) for _ in range(100)]
    assert min(ends) >= 39
    assert np.mean(np.array(ends) <= 46) > 0.9
    empty = [last_significant_shell(noise_curve(generator, 129).clamp(-1, 1)) for _ in range(100)]
    assert np.median(empty) == 0
    assert np.mean(np.array(empty) <= 12) > 0.95


def test_low_shells_that_cannot_be_judged_do_not_end_the_search():
    curve = torch.where(torch.arange(65) < 30, 0.6, 0.0)
    assert last_significant_shell(curve, independent_fraction=0.02) >= 25


def test_wiener_weights_minimise_the_error_of_both_kinds_of_map():
    n = 64
    snr = 4.0 * torch.exp(-torch.arange(33) / 6.0)
    half1, half2, signal = noisy_pair(n, snr)
    fsc = fourier_shell_correlation(half1, half2)
    for kind, volume, noise_power in (("half", half1, 1.0), ("full", (half1 + half2) / 2, 0.5)):
        weights = wiener_weights(fsc, kind)
        error = (filter_by_shells(volume, weights) - signal).square().mean()
        best = (filter_by_shells(volume, snr / (snr + noise_power)) - signal).square().mean()
        assert error < 1.02 * best
        assert error < 0.7 * (volume - signal).square().mean()
        assert weights.min() >= 0
        assert weights.max() <= 1


def test_no_weight_for_noise():
    curve = torch.tensor([1.0] + [0.05, -0.1, 0.02, -0.03] * 8)
    assert wiener_weights(curve).abs().max() == 0


@pytest.mark.parametrize("operators", [1, 24, 60])
def test_symmetry_that_leaves_few_coefficients_does_not_hide_agreement(operators):
    """In a mask of a tenth of the box, as around a small molecule; noise of as few coefficients stays noise."""
    fraction, shells = 0.1 / operators, 23
    agreeing = torch.where(torch.arange(shells) <= 12, 0.97, 0.0)
    assert 10 <= last_significant_shell(agreeing, fraction) <= 15
    generator = torch.Generator().manual_seed(0)
    freedom = shell_counts(2 * (shells - 1)) * fraction
    noise = torch.randn(100, shells, generator=generator) / freedom.clamp(min=1).sqrt()
    assert sum(last_significant_shell(curve.clamp(-1, 1), fraction) > 0 for curve in noise) <= 10
