"""Errors of the stage angles."""

import dataclasses
import math

import torch

from mlit.deformation.stage_angles import StageAngles
from mlit.geometry.rotations import rotation_x, rotation_y, rotation_z, rotvec_from_matrix
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.xml_geometry import geometry_from_xml, xml_with_geometry
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


def physical_block(geometry):
    block = StageAngles(imaging_of(geometry), 0.5, physical=True)
    with torch.no_grad():
        block.raw.copy_(raw_angles())
    return block, block.deform(imaging_of(geometry), block.raw.detach()).geometry


def test_errors_of_the_stage_move_particles_as_its_angles_do(geometry, particles):
    block, moved = physical_block(geometry)
    _, tilt, axis = block.physical().deg2rad().T
    expected = dataclasses.replace(
        geometry, tilt_angle_rad=geometry.tilt_angle_rad + tilt, axis_angle_rad=geometry.axis_angle_rad + axis
    )
    found, wanted = moved.project(particles[0]), expected.project(particles[0])
    assert torch.allclose(found.xy_angstrom, wanted.xy_angstrom)
    assert torch.allclose(found.defocus_um, wanted.defocus_um)
    assert float((found.xy_angstrom - geometry.project(particles[0]).xy_angstrom).abs().max()) > 2


def test_errors_of_the_stage_turn_particles_about_three_directions(geometry, particles):
    """Across the axis, along it (tilting turns the other way) and along the beam, to first order."""
    plain = dataclasses.replace(geometry, stage_angles_rad=torch.zeros_like(geometry.stage_angles_rad))
    block, moved = physical_block(plain)
    across, tilt, axis = block.physical().deg2rad().T
    cos, sin = plain.axis_angle_rad.cos(), plain.axis_angle_rad.sin()
    expected = torch.stack([across * cos + tilt * sin, across * sin - tilt * cos, axis], -1)
    place, rotation = particles
    turn = moved.orient(rotation, place) @ plain.orient(rotation, place).transpose(-1, -2)
    assert torch.allclose(rotvec_from_matrix(turn), expected.expand(5, -1, -1), atol=3e-4)
    assert float(expected.abs().max()) > 0.01


def test_files_describe_the_stage_exactly(geometry, particles):
    """What is written is read back as the same positions and orientations."""
    start = dataclasses.replace(geometry, magnification=torch.eye(2, dtype=torch.float64))
    _, moved = physical_block(start)
    lists = {
        "Angles": start.tilt_angle_rad.rad2deg().numpy(),
        "AxisAngle": start.axis_angle_rad.rad2deg().numpy(),
        "Dose": start.dose.numpy(),
    }
    xml = xml_with_geometry(TiltSeriesXml.new("A", lists, {}, {}), moved)
    sizes = (start.volume_size_angstrom.tolist(), start.image_size_angstrom.tolist())
    read = geometry_from_xml(xml, *sizes)
    found, expected = read.project(particles[0]), moved.project(particles[0])
    assert torch.allclose(found.xy_angstrom, expected.xy_angstrom, atol=1e-4)
    assert torch.allclose(read.orient(particles[1], particles[0]), moved.orient(particles[1], particles[0]), atol=1e-6)
