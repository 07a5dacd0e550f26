"""Square patches of an image."""

import pytest
import torch

from mlit.likelihood.patches import cut_patches
from tests.other_device import other_device


@pytest.mark.parametrize("box", [4, 5, 14])
def test_patches_are_windows_of_the_padded_image(box):
    """Inside, across every border, and wholly outside."""
    image = torch.randn(9, 12, generator=torch.Generator().manual_seed(0))
    centre = torch.tensor([[5, 4], [0, 0], [11, 8], [-3, 4], [6, 10], [40, -40]])
    padded = torch.nn.functional.pad(image, (60,) * 4)
    patches = cut_patches(image, centre, box)
    for (x, y), patch in zip(centre.tolist(), patches, strict=True):
        top, left = y + 60 - box // 2, x + 60 - box // 2
        assert torch.equal(patch, padded[top : top + box, left : left + box])


def test_patches_on_another_device_are_the_same():
    """Where all of them are cut at once."""
    image = torch.randn(9, 12, generator=torch.Generator().manual_seed(0))
    centre = torch.tensor([[5, 4], [0, 0], [11, 8], [-3, 4], [6, 10], [40, -40]])
    with other_device() as device:
        patches = cut_patches(image.to(device), centre, 6)
        assert patches.device == device
        assert torch.equal(patches.cpu(), cut_patches(image, centre, 6))


def test_the_centre_of_a_patch_is_the_pixel_asked_for():
    image = torch.arange(80.0).reshape(8, 10)
    patches = cut_patches(image, torch.tensor([[7, 2], [3, 6]]), 6)
    assert torch.equal(patches[:, 3, 3], torch.tensor([27.0, 63.0]))


def test_no_centres_give_no_patches():
    assert cut_patches(torch.ones(8, 8), torch.zeros(0, 2, dtype=torch.long), 4).shape == (0, 4, 4)
