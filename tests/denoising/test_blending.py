"""How much of a correction is believed."""

import torch

from mlit.denoising.blending import judge
from mlit.maps.fsc import fourier_shell_correlation

N = 40


def white(seed, count=1):
    return torch.randn(count, N, N, N, generator=torch.Generator().manual_seed(seed))


def test_correction_towards_the_truth_is_taken_and_its_gain_told():
    """The gain is that of the correlation with the truth, though only a noisy map of it is seen."""
    truth, noise = white(1), white(2)
    before = truth + 2 * noise
    blend = judge(before, -2 * noise + 0.5 * white(4), truth + 2 * white(3), 1.0, 4, 18)
    assert float(blend.share[6:17].min()) > 0.8
    after = before + (-2 * noise + 0.5 * white(4)) * blend.share[6:17].mean()
    true = fourier_shell_correlation(after, truth)[0, 6:17] / fourier_shell_correlation(before, truth)[0, 6:17]
    assert abs(float(blend.gain[6:17].mean() / true.mean()) - 1) < 0.1


def test_wrong_correction_is_refused():
    truth = white(1)
    before = truth + white(2)
    for correction in (white(4), -0.5 * truth):
        blend = judge(before, correction, truth + 2 * white(3), 1.0, 4, 18)
        assert float(blend.share.mean()) < 0.02
        assert abs(float(blend.gain.mean()) - 1) < 0.01


def test_too_long_a_correction_is_shortened():
    truth, noise = white(1), white(2)
    blend = judge(truth + noise, -3 * noise, truth + white(3), 1.0, 4, 18)
    assert abs(float(blend.share[6:17].mean()) - 1 / 3) < 0.03


def test_nothing_outside_of_the_shells():
    truth, noise = white(1), white(2)
    share = judge(truth + noise, -noise, truth, 1.0, 7, 12).share
    assert share[7:13].all()
    assert not share[:7].any()
    assert not share[13:].any()
