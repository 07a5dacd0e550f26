"""Noise cut in two."""

import torch

from mlit.denoising.thinning import thin
from mlit.fourier.shells import shell_mean, spectral_power
from mlit.geometry.map_symmetry import NO_SYMMETRY, Helix, Symmetry
from mlit.maps.filters import filter_by_shells
from mlit.maps.fsc import fourier_shell_correlation
from mlit.maps.helical import wind
from mlit.maps.mask import spherical_mask
from mlit.maps.rigid_motion import RigidMotion, move_map

N = 40


def noisy(seed, symmetry=NO_SYMMETRY, signal=0.0):
    """Half maps with coloured noise, averaged over a point group."""
    generator = torch.Generator().manual_seed(seed)
    curve = torch.linspace(2, 0.5, N // 2 + 1)
    maps = [filter_by_shells(torch.randn(N, N, N, generator=generator), curve) for _ in range(2)]
    centre = torch.zeros(3, dtype=torch.float64)
    maps = [sum(move_map(m, RigidMotion(o, centre), 1.0) for o in symmetry.point_group) / len(symmetry) for m in maps]
    return torch.stack(maps) + signal


def correlation(first, second):
    return float(fourier_shell_correlation(first, second)[:, 3:17].mean())


def test_parts_have_independent_noise():
    halves = noisy(1)
    parts = thin(halves, NO_SYMMETRY, 1.0, seed=9)
    assert correlation(halves, parts.learn) > 0.8
    assert correlation(halves, parts.judge) > 0.4
    assert abs(correlation(parts.learn, parts.judge)) < 0.02


def test_parts_of_symmetric_maps_have_independent_noise():
    symmetry = Symmetry.named("C4")
    parts = thin(noisy(1, symmetry), symmetry, 1.0, seed=9)
    assert abs(correlation(parts.learn, parts.judge)) < 0.05
    assert abs(correlation(parts.learn, thin(noisy(1, symmetry), NO_SYMMETRY, 1.0, seed=9).judge)) > 0.1


def test_parts_of_helical_maps_have_independent_helical_noise():
    helix = Helix(3, 0.7, 5.3)
    symmetry, wound = Symmetry.named("C1", helix), torch.stack([wind(half, helix, 1.0) for half in noisy(1)])
    parts = thin(wound, symmetry, 1.0, seed=9)
    assert abs(correlation(parts.learn, parts.judge)) < 0.1
    again = wind(parts.judge[0], helix, 1.0)
    inside = spherical_mask(N, 1.0, 20.0, 1.0) > 0.5
    assert float((again - parts.judge[0])[inside].norm() / again[inside].norm()) < 0.3
    plain = thin(wound, NO_SYMMETRY, 1.0, seed=9).judge[0]
    assert float((wind(plain, helix, 1.0) - plain)[inside].norm() / plain[inside].norm()) > 0.5


def test_signal_is_in_both_and_noise_as_strong_as_said():
    signal = noisy(7)[0] * 5
    halves = noisy(1, signal=signal)
    parts = thin(halves, NO_SYMMETRY, 1.0, seed=9)
    power = [
        shell_mean(spectral_power(torch.fft.rfftn(m[0] - signal)), N)[3:17].mean()
        for m in (halves, parts.learn, parts.judge)
    ]
    assert abs(float(power[1] / power[0]) - 4 / 3) < 0.05
    assert abs(float(power[2] / power[0]) - 4) < 0.2


def test_the_seed_decides():
    halves = noisy(1)
    assert torch.equal(thin(halves, NO_SYMMETRY, 1.0, 3).learn, thin(halves, NO_SYMMETRY, 1.0, 3).learn)
    assert not torch.equal(thin(halves, NO_SYMMETRY, 1.0, 3).learn, thin(halves, NO_SYMMETRY, 1.0, 4).learn)
