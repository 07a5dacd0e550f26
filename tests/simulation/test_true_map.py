import math

import pytest
import torch

from mlit.simulation.splat import PatchGrid, project_structure
from mlit.simulation.true_map import map_size, true_density


def test_map_equals_the_structure_factor(molecule):
    pixel, size = 6.0, 24
    spectrum = torch.fft.fftn(true_density(molecule, size, pixel).double()) * pixel**3
    frequency = torch.fft.fftfreq(size, pixel, dtype=torch.float64)
    scale = molecule.potential_volt_angstrom3.sum()
    position = molecule.position_angstrom + size // 2 * pixel
    for z, y, x in ((0, 0, 0), (1, 2, 3), (4, 0, -5), (-6, 3, 2)):
        k = torch.stack([frequency[x], frequency[y], frequency[z]])
        phase = -2 * math.pi * (position @ k)
        wave = torch.complex(torch.cos(phase), torch.sin(phase))
        exact = (wave * molecule.potential_volt_angstrom3[0]).sum() * molecule.envelope((k**2).sum())[0]
        assert abs(spectrum[z, y, x] - exact) < 1e-5 * scale


def test_sum_along_z_is_the_untilted_projection(molecule):
    pixel = 6.0
    size = map_size(molecule, pixel)
    density = true_density(molecule, size, pixel)
    spectrum = project_structure(
        molecule, torch.eye(3).double()[None], torch.zeros(1, 2).double(), PatchGrid(size, size, pixel)
    )
    difference = torch.fft.rfft2(density.sum(0) * pixel) - spectrum[0]
    below_nyquist = PatchGrid(size, size, pixel).frequency_xy().abs().amax(-1) < 0.99 / (2 * pixel)
    assert difference[below_nyquist].norm() < 1e-4 * spectrum.norm()
    assert size * pixel == pytest.approx(1.5 * molecule.diameter_angstrom, abs=3 * pixel)
