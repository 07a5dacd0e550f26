import math
from dataclasses import replace

import pytest
import torch

from mlit.geometry.rotations import matrix_from_euler
from mlit.optics.astigmatism import astigmatism_vector
from mlit.optics.ctf import Optics, ctf, phase_aberration
from mlit.optics.dose import critical_exposure_envelope
from mlit.simulation.crowding import CrowdView
from mlit.simulation.image_formation import crowd_image, particle_image, patch_size
from mlit.simulation.splat import PatchGrid, Points
from mlit.simulation.transfer import TiltTransfer, transfer_of_tilt

PIXEL = 6.0


def optics(tilts=1):
    one = torch.ones(tilts, dtype=torch.float64)
    phase_shift = 0.2 * torch.arange(tilts, dtype=torch.float64)
    return Optics(300.0, 2.7, 0.07, astigmatism_vector(0.1 * one, 0.6 * one), phase_shift)


def analytic_image(molecule, rotation, xy, defocus, dose, size):
    """One molecule's CTF-filtered image on a whole periodic image, from its exact structure factor."""
    grid = PatchGrid(size, size, PIXEL)
    frequency = grid.frequency_xy()
    position = molecule.position_angstrom @ rotation[:2].T + xy
    phase = -2 * math.pi * torch.einsum("yxc,ac->yxa", frequency, position)
    wave = (torch.complex(torch.cos(phase), torch.sin(phase)) * molecule.potential_volt_angstrom3[0]).sum(-1)
    k = frequency.norm(dim=-1)
    transfer = ctf(phase_aberration(frequency, torch.tensor([defocus]).double(), optics())[0])
    transfer = transfer * critical_exposure_envelope(k, torch.tensor(dose))
    spectrum = wave * molecule.envelope(k**2)[0] * transfer / PIXEL**2
    return torch.fft.irfft2(spectrum, s=(size, size))


def test_image_is_the_analytic_one(molecule):
    size, dose = 128, 40.0
    rotation = matrix_from_euler(torch.tensor([[0.2, 0.9, -1.0], [1.5, 2.1, 0.3]], dtype=torch.float64))
    xy = torch.tensor([[301.3, 420.8], [500.0, 333.1]], dtype=torch.float64)
    defocus = torch.tensor([1.2, 1.5], dtype=torch.float64)
    image = particle_image(molecule, rotation, xy, defocus, TiltTransfer(optics(), dose), PatchGrid(size, size, PIXEL))
    exact = sum(analytic_image(molecule, rotation[i], xy[i], float(defocus[i]), dose, size) for i in range(2))
    inner = PatchGrid(size, size, PIXEL).frequency_xy().norm(dim=-1) < 0.8 / (2 * PIXEL)
    difference, scale = (torch.fft.rfft2(im.double())[inner].norm() for im in (image - exact, exact))
    assert difference < 2e-3 * scale


def test_patch_holds_the_delocalised_image(molecule):
    grid = PatchGrid(160, 160, PIXEL)
    eye, middle = torch.eye(3).double()[None], torch.tensor([[480.0, 480.0]]).double()
    near = particle_image(molecule, eye, middle, torch.tensor([3.0]).double(), TiltTransfer(optics(), 0.0), grid)
    reach = patch_size(molecule, optics(), 3.0, PIXEL) // 2
    rim = near.clone()
    rim[80 - reach + 6 : 80 + reach - 6, 80 - reach + 6 : 80 + reach - 6] = 0
    assert rim.square().sum() < 2e-3 * near.square().sum()


def test_particles_at_the_edge_are_cut_and_outside_are_left_out(molecule):
    eye = torch.eye(3).double().expand(2, 3, 3)
    transfer, defocus = TiltTransfer(optics(), 0.0), torch.tensor([1.0, 1.0]).double()
    wide = PatchGrid(128, 128, PIXEL)
    crop = particle_image(
        molecule, eye, torch.tensor([[0.0, 90.0], [384.0, -200.0]]).double() + 192, defocus, transfer, wide
    )[32:96, 32:96]
    small = particle_image(
        molecule,
        eye,
        torch.tensor([[0.0, 90.0], [384.0, -200.0]]).double(),
        defocus,
        transfer,
        PatchGrid(64, 64, PIXEL),
    )
    torch.testing.assert_close(small, crop, rtol=0, atol=1e-5 * float(crop.abs().max()))
    far = torch.tensor([[9e5, 0.0], [0.0, -9e5]]).double()
    assert particle_image(molecule, eye, far, defocus, transfer, PatchGrid(64, 64, PIXEL)).abs().max() == 0


def test_underfocused_protein_is_bright_in_the_signal(molecule):
    middle = torch.tensor([[192.0, 192.0]]).double()
    transfer = TiltTransfer(replace(optics(), phase_shift_rad=torch.tensor([1.4]).double()), 0.0)
    image = particle_image(
        molecule,
        torch.eye(3).double()[None],
        middle,
        torch.tensor([0.3]).double(),
        transfer,
        PatchGrid(64, 64, PIXEL),
    )
    assert image[26:38, 26:38].mean() > 5 * image.std() / 2
    assert image.sum() > 0


def test_crowd_of_one_layer_equals_the_particle_model(molecule):
    grid = PatchGrid(64, 48, PIXEL)
    xy = molecule.position_angstrom[:, :2] + torch.tensor([130.0, 200.0])
    row = torch.zeros(molecule.atoms, dtype=torch.int64)
    beads = Points(xy.float(), molecule.potential_volt_angstrom3[0].float(), row)
    transfer = TiltTransfer(optics(), 20.0)
    defocus = torch.tensor([1.1]).double()
    crowd = crowd_image(CrowdView(beads, defocus), molecule, transfer, grid, 150.0)
    single = particle_image(
        molecule,
        torch.eye(3).double()[None],
        torch.tensor([[130.0, 200.0]]).double(),
        defocus,
        transfer,
        grid,
    )
    inner = grid.frequency_xy().norm(dim=-1) < 0.8 / (2 * PIXEL)
    difference, scale = (torch.fft.rfft2(im)[inner].norm() for im in (crowd - single, single))
    assert difference < 5e-3 * scale


def test_dose_removes_fine_detail_only():
    grid = PatchGrid(64, 64, PIXEL)
    defocus = torch.tensor([1.0]).double()
    fresh, old = (TiltTransfer(optics(), dose).on_grid(grid, defocus)[0] for dose in (0.0, 100.0))
    k = grid.frequency_xy().norm(dim=-1)
    expected = critical_exposure_envelope(k, torch.tensor(100.0)).float()
    torch.testing.assert_close(old, fresh * expected, rtol=1e-4, atol=1e-5)
    assert expected[0, 0] == pytest.approx(1.0)


def test_every_tilt_has_its_own_optics():
    grid = PatchGrid(32, 32, PIXEL)
    defocus = torch.tensor([1.0]).double()
    third = transfer_of_tilt(optics(3), 2, 0.0, torch.eye(2).double()).on_grid(grid, defocus)[0]
    gamma = phase_aberration(grid.frequency_xy(), torch.ones(3).double(), optics(3))[2]
    torch.testing.assert_close(third, ctf(gamma).float(), rtol=0, atol=1e-4)
