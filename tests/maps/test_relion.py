"""Correlation, B factor and symmetry against RELION, where it is installed."""

import re
import shutil
import subprocess

import numpy as np
import pytest
import torch

from mlit.fourier.shells import frequency_radius
from mlit.geometry.symmetry import point_group
from mlit.io.mrc import read_mrc, write_mrc
from mlit.maps.filters import guinier_fit, low_pass
from mlit.maps.fsc import fsc_curves
from mlit.maps.mask import spherical_mask

N, PIXEL, BFACTOR = 72, 1.5, 120.0
FREQUENCY = frequency_radius(N, 3) / (N * PIXEL)
COLUMNS = {"unmasked": 5, "masked": 6, "randomised": 7, "corrected": 3}


def program(name):
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed")


def noise(seed):
    return torch.randn(N, N, N, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def maps():
    """Half maps of a flat spectrum under a B factor, and a mask."""
    sharp = torch.fft.rfftn(6 * noise(0) * spherical_mask(N, PIXEL, 60.0, 4.0))
    blurred = torch.fft.irfftn(sharp * torch.exp(-BFACTOR / 4 * FREQUENCY**2), s=(N, N, N))
    return blurred + noise(1), blurred + noise(2), spherical_mask(N, PIXEL, 70.0, 10.0)


@program("relion_postprocess")
def test_curves_resolution_and_bfactor(maps, tmp_path):
    for name, volume in zip(("half1", "half2", "mask"), maps, strict=True):
        write_mrc(tmp_path / f"{name}.mrc", volume.numpy(), PIXEL)
    words = f"--i half1.mrc --i2 half2.mrc --mask mask.mrc --angpix {PIXEL} --auto_bfac --autob_lowres 10 --o out"
    subprocess.run(["relion_postprocess", *words.split()], cwd=tmp_path, capture_output=True, check=False)
    text = (tmp_path / "out.star").read_text()
    table = text.split("data_fsc")[1].split("data_")[0]
    theirs = np.array([line.split() for line in table.splitlines() if re.match(r"\s+\d+\s", line)], float)
    curves = fsc_curves(*maps, PIXEL)
    for field, tolerance in (("unmasked", 0.01), ("masked", 0.01), ("randomised", 0.25), ("corrected", 0.05)):
        ours = getattr(curves, field).numpy()
        np.testing.assert_allclose(ours[8:], theirs[8:, COLUMNS[field]], atol=tolerance)
    resolution = float(re.search(r"_rlnFinalResolution\s+(\S+)", text)[1])
    assert abs(N * PIXEL / resolution - N * PIXEL / curves.resolution_angstrom()) < 1.01
    bfactor = float(re.search(r"_rlnBfactorUsedForSharpening\s+(\S+)", text)[1])
    average = (maps[0] + maps[1]) / 2  # RELION fits the amplitude of the whole box, to the Nyquist frequency
    fit = guinier_fit(average, torch.from_numpy(theirs[:, 3]).float(), PIXEL, 10.0, 2 * PIXEL)
    assert -fit.bfactor_angstrom2 == pytest.approx(bfactor, abs=8)


@program("relion_image_handler")
@pytest.mark.parametrize("group", ["C3", "D2", "T", "O", "I1", "I2", "I3"])
def test_symmetry(tmp_path, group):
    """The mean over RELION's operators, against the mean of the map read at the points that mlit's operators give."""
    body = spherical_mask(N, PIXEL, 70.0, 8.0)
    volume = low_pass(noise(3), PIXEL, 12.0) * body
    write_mrc(tmp_path / "map.mrc", volume.numpy(), PIXEL)
    words = f"--i map.mrc --o sym.mrc --sym {group}"
    subprocess.run(["relion_image_handler", *words.split()], cwd=tmp_path, capture_output=True, check=True)
    theirs = torch.from_numpy(read_mrc(tmp_path / "sym.mrc")[0])
    ours = averaged(volume, group)
    inside = body > 0.99
    assert float(torch.corrcoef(torch.stack([theirs[inside], ours[inside]]))[0, 1]) > 0.995


def averaged(volume, group):
    axis = torch.arange(N, dtype=torch.float32) - N // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    points = torch.stack([x, y, z], -1)
    total = torch.zeros_like(volume)
    for operator in point_group(group).float():
        where = (points @ operator.T + N // 2) / (N - 1) * 2 - 1
        total += torch.nn.functional.grid_sample(volume[None, None], where[None], align_corners=True)[0, 0]
    return total / len(point_group(group))
