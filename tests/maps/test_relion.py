"""Correlation, B factor and symmetry against RELION, where it is installed."""

import math
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch

from mlit.fourier.centred import centred_irfft3
from mlit.fourier.shells import frequency_radius
from mlit.geometry.map_symmetry import Helix, Symmetry
from mlit.io.mrc import read_mrc, write_mrc
from mlit.maps.filters import guinier_fit, low_pass
from mlit.maps.fsc import fsc_curves
from mlit.maps.helical import wind
from mlit.maps.mask import spherical_mask
from mlit.maps.reconstruction import combine, density
from tests.brute_force import sums_of_map

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
@pytest.mark.parametrize("group", ["C3", "D2", "T", "O", "I1", "I2", "I3", "I4"])
def test_symmetry(tmp_path, group):
    """RELION's average over its operators in real space, against mlit's in Fourier space.

    RELION interpolates linearly in real space, which takes from the finest detail (12 Å is a quarter of Nyquist here).
    """
    body = spherical_mask(N, PIXEL, 0.4 * N * PIXEL, 8.0)
    volume = low_pass(noise(3) * body, PIXEL, 12.0)
    theirs = run_on(volume, tmp_path, "relion_image_handler", f"--sym {group}")
    ours = density(sums_of_map(volume, PIXEL), [0], Symmetry.named(group))
    assert correlation(theirs, ours, body > 0.9) > 0.995
    if group != "O":  # the axes are those of RELION, not only the group
        assert correlation(theirs, ours.transpose(0, 1).flip(0), body > 0.9) < 0.9


@program("relion_helix_toolbox")
@pytest.mark.parametrize("twist_deg", [27.3, -27.3])
def test_helix(tmp_path, twist_deg):
    """A helix from a noisy slice: same hand, same axes, same central part."""
    helix = Helix(5, math.radians(twist_deg), 11.3)
    from_axis = spherical_mask(N, PIXEL, 60.0, 8.0)[N // 2]
    volume = low_pass(noise(4) * from_axis, PIXEL, 12.0)
    words = f"--angpix {PIXEL} --rise 11.3 --twist {twist_deg} --cyl_outer_diameter 90 --sphere_percentage 0.9"
    theirs = run_on(volume, tmp_path, "relion_helix_toolbox", f"--impose {words} --z_percentage 0.25")
    body = (from_axis > 0.5) & spherical_mask(N, PIXEL, 0.75 * N * PIXEL, 1.0).bool()
    assert correlation(theirs, wind(volume, helix, PIXEL), body) > 0.9
    other = Helix(5, -helix.twist_rad, 11.3)
    assert correlation(theirs, wind(volume, other, PIXEL), body) < 0.7


@program("relion_helix_toolbox")
def test_helical_sums(tmp_path):
    """The average over five units in Fourier space, before anything is wound."""
    symmetry = Symmetry.named("C1", Helix(5, math.radians(27.3), 7.1))
    volume = low_pass(noise(5) * spherical_mask(N, PIXEL, 30.0, 8.0), PIXEL, 12.0)
    words = f"--angpix {PIXEL} --rise 7.1 --twist 27.3 --nr_asu 5 --cyl_outer_diameter 90"
    theirs = run_on(volume, tmp_path, "relion_helix_toolbox", f"--impose_fourier {words}")
    data, weight = combine(sums_of_map(volume, PIXEL), [0], symmetry)
    ours = centred_irfft3(data / weight.clamp(min=1e-6), N)
    body = spherical_mask(N, PIXEL, 60.0, 1.0).bool()
    assert correlation(theirs, ours, body) > 0.98


def run_on(volume, folder, name, words):
    """What a program of RELION makes of a map."""
    write_mrc(folder / "in.mrc", volume.numpy(), PIXEL)
    command = [name, "--i", "in.mrc", "--o", "out.mrc", *words.split()]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return torch.from_numpy(read_mrc(folder / "out.mrc")[0])


def correlation(first, second, where):
    return float(torch.corrcoef(torch.stack([first[where], second[where]]))[0, 1])
