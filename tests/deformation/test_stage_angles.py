"""Errors of the stage angles."""

import dataclasses
import math

import torch

from mlit.deformation.stage_angles import StageAngles
from mlit.geometry.rotations import rotation_x, rotation_y, rotation_z
from tests.brute_force import imaging_of


def raw_angles():
    return torch.randn(12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_angles_turn_particles_and_not_positions(geometry, particles):
    block, raw = StageAngles(imaging_of(geometry), 0.5), raw_angles()
    place, rotation = particles
    moved = block.deform(imaging_of(geometry), raw).geometry
    assert torch.equal(moved.project(place).xy_angstrom, geometry.project(place).xy_angstrom)
    angles = geometry.stage_angles_rad[:, 0, 0] + raw.reshape(4, 3) * math.radians(0.5)
    x, y, z = angles.T
    stage = rotation_z(z) @ rotation_y(y) @ rotation_x(x)
    expected = stage @ geometry.tilt_matrices() @ rotation[:, None]
    assert torch.allclose(moved.orient(rotation, place), expected)


def test_start_with_one_node_for_all_tilts(geometry, particles):
    single = dataclasses.replace(geometry, stage_angles_rad=geometry.stage_angles_rad[:1])
    block = StageAngles(imaging_of(single), 0.5)
    place, rotation = particles
    assert torch.allclose(
        block.deform(imaging_of(single), torch.zeros(12).double()).geometry.orient(rotation, place),
        single.orient(rotation, place),
    )


def test_physical_values_are_degrees(geometry):
    block = StageAngles(imaging_of(geometry), 0.5)
    with torch.no_grad():
        block.raw.copy_(raw_angles())
    assert torch.allclose(block.physical(), 0.5 * raw_angles().reshape(4, 3))
