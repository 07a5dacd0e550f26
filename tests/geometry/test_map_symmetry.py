"""Operators of helices and point groups, and what a person may say about them."""

import math

import pytest
import torch

from mlit.errors import InputError
from mlit.geometry.map_symmetry import Helix, Symmetry, make_symmetry
from mlit.geometry.rotations import matrix_from_rotvec

HELIX = Helix(5, math.radians(-27.3), 13.1)


def homogeneous(operators):
    """Rotations and shifts as matrices 4 × 4."""
    rotation, shift = operators
    matrices = torch.zeros(len(rotation), 4, 4, dtype=torch.float64)
    matrices[:, :3, :3], matrices[:, :3, 3], matrices[:, 3, 3] = rotation, shift, 1
    return matrices


@pytest.mark.parametrize(("group", "order"), [("C1", 1), ("C3", 3), ("D2", 4)])
def test_operators_are_the_group_at_each_unit_in_the_middle(group, order):
    symmetry = Symmetry.named(group, HELIX)
    operators = homogeneous(symmetry.operators())
    assert len(symmetry) == len(operators) == 5 * order
    assert torch.equal(operators[0], torch.eye(4, dtype=torch.float64))
    heights = operators[:, 2, 3].abs() / HELIX.rise_angstrom
    assert sorted(heights.round().int().tolist()) == sorted([0, 1, 1, 2, 2] * order)


@pytest.mark.parametrize("group", ["C1", "C3", "D2"])
def test_operators_without_end_are_closed(group):
    """The product of any two is among them, where it does not shift too far."""
    symmetry = Symmetry.named(group, HELIX)
    near, far = (homogeneous(symmetry.operators_within(reach)) for reach in (30.0, 60.0))
    products = torch.einsum("aij,bjk->abik", near, near).flatten(0, 1)
    distance = torch.cdist(products.flatten(1), far.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    assert float(distance.min(1).values.max()) < 1e-9
    assert torch.cdist(far.flatten(1), far.flatten(1)).add(torch.eye(len(far))).min() > 0.1


def test_positive_twist_is_right_handed():
    """Going up, a right-handed thread turns from x towards y."""
    rotation, shift = Helix(2, math.radians(30), 5.0).screws(1, 1)
    assert torch.allclose(shift[0], torch.tensor([0, 0, 5.0]).double())
    assert torch.allclose(rotation[0, :, 0], torch.tensor([math.cos(math.pi / 6), 0.5, 0]).double())


@pytest.mark.parametrize("symmetry", [Symmetry.named("C1", HELIX), Symmetry.named("D3", HELIX), Symmetry.named("C4")])
def test_free_motions_commute_with_all_operators(symmetry):
    free_turn, free_shift = symmetry.free()
    motion = torch.eye(4, dtype=torch.float64)
    motion[:3, :3] = matrix_from_rotvec(free_turn @ torch.tensor([0.1, 0.2, 0.3]).double())
    motion[:3, 3] = free_shift @ torch.tensor([1.0, 2.0, 3.0]).double()
    for operator in homogeneous(symmetry.operators()):
        assert torch.allclose(operator @ motion, motion @ operator, atol=1e-12)
    assert bool((motion[2, 3] == 3) == (len(symmetry.point_group) != 6))


def test_words_make_a_helix():
    symmetry = make_symmetry("C2", 6, -166.6, 27.3, 300.0)
    assert symmetry.helix == Helix(6, math.radians(-166.6), 27.3)
    assert len(symmetry) == 12
    assert make_symmetry("O", 1, 0.0, 0.0, 300.0).helix is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("C1", 0, 10.0, 5.0), "helical_units=0.*at least 1"),
        (("C1", 1, 10.0, 5.0), "helical_units=1.*2 or more"),
        (("C1", 1, 10.0, 0.0), "helical_units=1.*2 or more"),
        (("C1", 3, 181.0, 5.0), "helical_twist=181.*-180 and 180"),
        (("C1", 3, math.nan, 5.0), "helical_twist=nan"),
        (("C1", 3, 10.0, 0.0), "helical_rise=0: must be above zero"),
        (("C1", 3, 10.0, -5.0), "helical_rise=-5.*helical_twist gives the hand"),
        (("C1", 3, 10.0, math.inf), "helical_rise=inf"),
        (("C1", 30, 10.0, 5.0), "helical_units=30.*100 Å.*at most 20"),
        (("C1", 2, 10.0, 70.0), "helical_units=2.*100 Å.*several rises"),
        (("I", 3, 10.0, 5.0), "symmetry 'I' has no helix"),
        (("Q", 3, 10.0, 5.0), "symmetry 'Q' is unknown"),
    ],
)
def test_wrong_words_are_named(words, message):
    with pytest.raises(InputError, match=message):
        make_symmetry(*words, 100.0)
