"""Sizes of changes and expected errors."""

import math

import pytest
import torch

from mlit.deformation.local_coordinates import View
from mlit.geometry.rotations import matrix_from_rotvec
from mlit.likelihood.deviation import Deviation
from tests.brute_force import no_aberrations, rotations

SEEN = torch.tensor([[True, True, False], [True, False, True]])


def test_a_known_change_is_measured():
    rotation = rotations(6).reshape(2, 3, 3, 3)
    before = View(torch.zeros(2, 3, 2).double(), rotation, torch.full((2, 3), 2.0).double(), no_aberrations(3))
    turn = matrix_from_rotvec(torch.tensor([0.0, math.radians(2), 0.0], dtype=torch.float64))
    shift = torch.tensor([3.0, -4.0], dtype=torch.float64).expand(2, 3, 2).clone()
    shift[~SEEN] = 1e6  # what is not seen does not count
    after = View(before.xy_angstrom + shift, turn @ rotation, before.defocus_um - 0.03, no_aberrations(3))
    found = Deviation.between(before, after, SEEN)
    assert found.position_angstrom == pytest.approx(5)
    assert found.rotation_deg == pytest.approx(2)
    assert found.defocus_nm == pytest.approx(30)


def test_expected_errors_are_those_of_draws():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(2, 3, 6, 6, generator=generator, dtype=torch.float64)
    found = Deviation.expected(root @ root.transpose(-1, -2), SEEN)
    draws = (root[SEEN] @ torch.randn(6, 200_000, generator=generator, dtype=torch.float64)).square().mean((0, 2))
    assert found.position_angstrom == pytest.approx(float(draws[:2].sum().sqrt()), rel=0.01)
    assert found.rotation_deg == pytest.approx(math.degrees(float(draws[2:5].sum().sqrt())), rel=0.01)
    assert found.defocus_nm == pytest.approx(1e3 * float(draws[5].sqrt()), rel=0.01)


def test_no_images_deviate_by_nothing():
    view = View(torch.ones(1, 2, 2).double(), rotations(2)[None], torch.ones(1, 2).double(), no_aberrations(2))
    assert Deviation.between(view, view, torch.zeros(1, 2, dtype=torch.bool)) == Deviation(0, 0, 0)


def test_within_looks_at_position_and_rotation():
    error = Deviation(1.0, 0.6, 30)
    assert Deviation(0.4, 0.3, 500).within(error, 0.5)
    assert not Deviation(0.6, 0.1, 0).within(error, 0.5)
    assert not Deviation(0.1, 0.31, 0).within(error, 0.5)
