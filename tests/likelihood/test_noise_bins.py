"""Bins of the noise spectrum that are finer than the pixels of the boxes it is measured in."""

import pytest
import torch

from mlit.likelihood.noise import noise_power


@pytest.mark.parametrize("box", [16, 32, 60, 120])
def test_white_noise_is_white_in_boxes_of_any_size(box):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(2, 256, 256, generator=generator)
    xy = torch.rand(60, 2, 2, generator=generator) * 256
    power = noise_power(images, xy, box)
    assert power.min() > 0.5  # an empty bin left at its floor would read a few thousandths
    assert power.max() < 1.5
