import math

import pytest
import torch

from mlit.geometry.rotations import matrix_from_euler
from mlit.simulation.splat import PatchGrid, fast_even_size, project_structure
from mlit.simulation.splat_kernel import SplatKernel
from mlit.simulation.structure import Structure


def structure_factor(structure, rotation, offset, grid):
    """Sum over atoms of exp(-2πi k·x), in the grid's frequencies: slow and exact."""
    centre = torch.tensor([grid.width // 2, grid.height // 2]) * grid.pixel_size_angstrom
    xy = structure.position_angstrom @ rotation[:2].T + offset + centre
    frequency = grid.frequency_xy()
    phase = -2 * math.pi * torch.einsum("yxc,ac->yxa", frequency, xy)
    wave = torch.complex(torch.cos(phase), torch.sin(phase))
    envelope = structure.envelope((frequency**2).sum(-1))
    total = sum(
        (wave * weight).sum(-1) * fall_off
        for weight, fall_off in zip(structure.potential_volt_angstrom3, envelope, strict=True)
    )
    return total / grid.pixel_size_angstrom**2


def unblurred(structure):
    """Points without their Gaussians, so that high frequencies are as strong as low ones."""
    return Structure(structure.position_angstrom, structure.potential_volt_angstrom3, torch.zeros(1).double())


@pytest.mark.parametrize(("width", "tolerance"), [(4, 1e-3), (5, 1e-4), (6, 1e-5)])
@pytest.mark.parametrize("pixel", [4.0, 6.0])
def test_projection_equals_the_structure_factor(molecule, width, tolerance, pixel):
    sharp = unblurred(molecule)
    rotation = matrix_from_euler(torch.tensor([[0.3, 1.1, -0.7], [2.0, 0.4, 0.9]], dtype=torch.float64))
    offset = torch.tensor([[1.3, -2.2], [0.0, 0.4]], dtype=torch.float64)
    grid = PatchGrid(36, 40, pixel)
    fast = project_structure(sharp, rotation, offset, grid, SplatKernel(width))
    shell = grid.frequency_xy().norm(dim=-1) * 2 * pixel
    for particle in range(2):
        slow = structure_factor(sharp, rotation[particle], offset[particle], grid)
        for low, high in ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8)):
            ring = (shell >= low) & (shell <= high)
            error = (fast[particle] - slow)[ring].norm() / slow[ring].norm()
            assert error < tolerance


def test_components_have_their_own_width(molecule):
    weight = molecule.potential_volt_angstrom3[0]
    two = Structure(
        molecule.position_angstrom,
        torch.stack([weight, -0.4 * weight.flip(0)]),
        torch.tensor([30.0, 400.0], dtype=torch.float64),
    )
    grid = PatchGrid(32, 32, 6.0)
    rotation, offset = torch.eye(3, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    fast = project_structure(two, rotation[None], offset[None], grid)[0]
    slow = structure_factor(two, rotation, offset, grid)
    inner = grid.frequency_xy().norm(dim=-1) < 0.8 / 12
    assert (fast - slow)[inner].norm() < 1e-4 * slow[inner].norm()


def test_image_sums_to_the_potential_and_sits_at_the_centre_pixel(molecule):
    grid = PatchGrid(40, 36, 5.0)
    one = Structure(torch.zeros(1, 3).double(), torch.ones(1, 1).double(), torch.tensor([900.0]).double())
    image = torch.fft.irfft2(
        project_structure(one, torch.eye(3).double()[None], torch.tensor([[5.0, -10.0]]).double(), grid),
        s=(40, 36),
    )[0]
    assert image.sum() * 25 == pytest.approx(1.0, rel=1e-4)
    assert divmod(int(image.argmax()), 36) == (20 - 2, 18 + 1)


def test_beam_runs_along_z(molecule):
    grid = PatchGrid(32, 32, 6.0)
    along_z = molecule.position_angstrom + torch.tensor([0.0, 0.0, 500.0])
    shifted = Structure(along_z, molecule.potential_volt_angstrom3, molecule.b_factor_angstrom2)
    views = [
        project_structure(s, torch.eye(3).double()[None], torch.zeros(1, 2).double(), grid) for s in (molecule, shifted)
    ]
    torch.testing.assert_close(views[0], views[1])


@pytest.mark.parametrize(("least", "size"), [(1, 2), (13.2, 16), (22, 24), (61, 64), (81, 90), (127, 128)])
def test_fast_even_size(least, size):
    assert fast_even_size(least) == size


def test_transform_of_the_bell_is_its_fourier_integral():
    kernel = SplatKernel(5)
    offset = torch.linspace(-3, 3, 60001, dtype=torch.float64)
    frequency = torch.tensor([0.0, 0.1, 0.25], dtype=torch.float64)
    integral = [
        float((kernel.values(offset) * torch.cos(2 * math.pi * f * offset)).sum() * (offset[1] - offset[0]))
        for f in frequency
    ]
    assert kernel.transform(frequency).tolist() == pytest.approx(integral, rel=1e-4)
