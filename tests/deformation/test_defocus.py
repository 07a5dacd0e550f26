"""Defocus of each tilt."""

import torch

from mlit.deformation.defocus import Defocus
from tests.brute_force import imaging_of


def test_errors_are_added_to_the_start_in_micrometres(geometry, particles):
    block = Defocus(imaging_of(geometry), 0.05)
    raw = torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64)
    moved = block.deform(imaging_of(geometry), raw).geometry.project(particles[0])
    before = geometry.project(particles[0])
    assert torch.allclose(moved.defocus_um - before.defocus_um, (0.05 * raw).expand(5, -1))
    assert torch.equal(moved.xy_angstrom, before.xy_angstrom)
    with torch.no_grad():
        block.raw.copy_(raw)
    assert torch.allclose(block.physical(), 0.05 * raw)


def test_the_prior_is_anchored_to_the_start(geometry):
    """Deforming twice does not add up: the error is always counted from the start."""
    block = Defocus(imaging_of(geometry), 0.05)
    raw = torch.ones(4, dtype=torch.float64)
    once = block.deform(imaging_of(geometry), raw)
    assert torch.equal(block.deform(once, raw).geometry.defocus_um, once.geometry.defocus_um)
    assert float(block.prior.penalty(raw)) == 2.0


def test_a_jump_moves_the_start_that_the_prior_knows(geometry):
    block, imaging = Defocus(imaging_of(geometry), 0.05, search_um=0.3), imaging_of(geometry)
    with torch.no_grad():
        block.raw.copy_(torch.tensor([1.0, -2.0, 0.5, 0.0]))
    before = block.physical()
    block.jump(torch.tensor([0.0, 0.2, 0.0, -0.1], dtype=torch.float64))
    expected = before + torch.tensor([0.0, 0.2, 0.0, -0.1])
    assert torch.allclose(block.physical(), expected)
    assert torch.allclose(block.raw.detach(), torch.tensor([1.0, 0.0, 0.5, 0.0]).double())
    found = block.deform(imaging, block.raw.detach()).geometry.defocus_um
    assert torch.allclose(found, geometry.defocus_um + expected)
    other = Defocus(imaging_of(geometry), 0.05)
    other.load_state_dict(block.state_dict())
    assert torch.equal(other.physical(), block.physical())
