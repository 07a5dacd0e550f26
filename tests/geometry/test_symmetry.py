import math

import pytest
import torch

from mlit.errors import InputError
from mlit.geometry.rotations import rotation_z
from mlit.geometry.symmetry import GOLDEN_RATIO, coset_representatives, keeps_group, point_group

ORDERS = {
    "C1": 1, "C2": 2, "C3": 3, "c7": 7, "C17": 17, "D1": 2, "D2": 4, "D3": 6, "D7": 14,
    "T": 12, "O": 24, "I": 60, "I1": 60, "I2": 60, "i3": 60, "I4": 60,
}  # fmt: skip


def contains_axis(group: torch.Tensor, axis: tuple[float, float, float], order: int) -> bool:
    """Whether a rotation by a full turn over ``order`` about an axis belongs to a group."""
    vector = torch.tensor(axis, dtype=torch.float64)
    vector = vector / torch.linalg.vector_norm(vector)
    fixes = torch.linalg.vector_norm(group @ vector - vector, dim=-1) < 1e-9
    trace = group.diagonal(dim1=-2, dim2=-1).sum(-1)
    return bool((fixes & ((trace - 1 - 2 * math.cos(2 * math.pi / order)).abs() < 1e-9)).any())


@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_groups_are_closed_sets_of_distinct_rotations(name, order):
    group = point_group(name)
    identity = torch.eye(3, dtype=torch.float64)
    assert group.shape == (order, 3, 3)
    torch.testing.assert_close(group[0], identity, rtol=0, atol=1e-14)
    torch.testing.assert_close(group @ group.mT, identity.expand_as(group), rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.linalg.det(group), torch.ones(order, dtype=torch.float64), rtol=0, atol=1e-12)
    products = torch.einsum("aij,bjk->abik", group, group).reshape(-1, 9)
    distance = torch.cdist(products, group.reshape(-1, 9))
    assert ((distance < 1e-6).sum(1) == 1).all()


@pytest.mark.parametrize(
    ("name", "axis", "order"),
    [
        ("C5", (0, 0, 1), 5),
        ("D3", (0, 0, 1), 3),
        ("D3", (1, 0, 0), 2),
        ("T", (0, 0, 1), 3),
        ("T", (0, math.sqrt(2), 1), 2),
        ("O", (0, 0, 1), 4),
        ("O", (1, 1, 1), 3),
        ("I", (1, 0, GOLDEN_RATIO), 5),
        ("I2", (1, 0, 0), 2),
        ("I2", (0, 0, 1), 2),
        ("I2", (0, 1, GOLDEN_RATIO**2), 3),
        ("I1", (GOLDEN_RATIO, 0, -1), 5),
        ("I1", (GOLDEN_RATIO**2, 1, 0), 3),
        ("I3", (0, 0, 1), 5),
        ("I3", (-1, 0, GOLDEN_RATIO), 2),
        ("I4", (2, 0, 1), 5),
        ("I4", (1, 0, GOLDEN_RATIO), 2),
    ],
)
def test_axes_lie_where_relion_has_them(name, axis, order):
    assert contains_axis(point_group(name), axis, order)


def test_icosahedral_settings_differ():
    assert not contains_axis(point_group("I1"), (1, 0, GOLDEN_RATIO), 5)
    assert not contains_axis(point_group("I4"), (-1, 0, GOLDEN_RATIO), 2)


@pytest.mark.parametrize("name", ["", "C", "C0", "D0", "C-2", "I5", "Ci", "C2v", "TD", "X3", "C1000", "3"])
def test_unknown_names_are_refused(name):
    with pytest.raises(InputError, match="symmetry"):
        point_group(name)


def test_cosets_need_a_subgroup():
    with pytest.raises(InputError, match="no subgroup"):
        coset_representatives("C4", "C3")
    with pytest.raises(InputError, match="nothing to expand"):
        coset_representatives("D3", "d3")


def test_which_motions_keep_a_symmetry():
    group, none = point_group("D2"), torch.zeros(3, dtype=torch.float64)
    quarter = rotation_z(torch.tensor(math.pi / 2, dtype=torch.float64))
    assert keeps_group(group, quarter, none)
    assert not keeps_group(group, rotation_z(torch.tensor(0.3, dtype=torch.float64)), none)
    assert not keeps_group(group, quarter, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    assert keeps_group(point_group("C5"), group[0], torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
