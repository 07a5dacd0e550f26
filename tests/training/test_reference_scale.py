import logging

import pytest
import torch

from mlit.maps.mask import MaskResult
from mlit.maps.references import HalfMaps
from mlit.training.reference_scale import scale_to_images


def noisy_halves(noise=0.2, box=32, pixel=6.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    axis = (torch.arange(box) - box // 2) * pixel
    radius = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).float().sqrt()
    molecule = torch.sigmoid((50 - radius) / 8) * (1 + torch.cos(axis / 12.0))
    mask = torch.sigmoid((75 - radius) / 4)
    first, second = (molecule + noise * torch.randn(box, box, box, generator=generator) for _ in range(2))
    return molecule, HalfMaps.judge(first, second, pixel, MaskResult(mask, "density", float(mask.mean())), 0)


@pytest.mark.parametrize("units", [1e-5, 1.0, 400.0])
def test_scale_is_found_whatever_the_units(units):
    molecule, halves = noisy_halves()
    given = torch.stack([molecule, molecule]) * units
    assert scale_to_images(given, 6.0, halves) == pytest.approx(1 / units, rel=0.03)


def test_references_on_a_finer_grid_and_in_a_tighter_box():
    molecule, halves = noisy_halves()
    from mlit.fourier.resize import crop_or_pad, resample_map

    given = crop_or_pad(resample_map(molecule, 48), 36, 3)[None]
    assert scale_to_images(given, 4.0, halves) == pytest.approx(1.0, rel=0.05)


def test_wrong_contrast_is_noticed_and_held_back(caplog):
    molecule, halves = noisy_halves()
    with caplog.at_level(logging.WARNING, logger="mlit"):
        factor = scale_to_images(-molecule[None], 6.0, halves)
    assert 0 <= factor < 1e-3
    assert "hardly resemble" in caplog.text


def test_good_references_raise_no_warning(caplog):
    molecule, halves = noisy_halves()
    with caplog.at_level(logging.WARNING, logger="mlit"):
        scale_to_images(molecule[None], 6.0, halves)
    assert not caplog.records
