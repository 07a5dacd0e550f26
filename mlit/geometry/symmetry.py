"""Rotational point groups in RELION's orientations."""

import math
import re

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mlit.errors import InputError
from mlit.geometry.rotations import matrix_from_rotvec, rotation_x, rotation_y, rotation_z

GOLDEN_RATIO = (1 + math.sqrt(5)) / 2


def _angle(radians: float) -> Tensor:
    return torch.tensor(radians, dtype=torch.float64)


def _about(axis: tuple[float, float, float], order: int) -> Float[Tensor, "3 3"]:
    vector = torch.tensor(axis, dtype=torch.float64)
    return matrix_from_rotvec(vector / torch.linalg.vector_norm(vector) * (2 * math.pi / order))


def _closure(generators: list[Float[Tensor, "3 3"]]) -> Float[Tensor, "operator 3 3"]:
    """All products of the generators, identity first."""
    elements = [torch.eye(3, dtype=torch.float64)]
    for element in elements:  # grows while it is walked
        for generator in generators:
            product = generator @ element
            if not any(torch.allclose(product, known, rtol=0, atol=1e-8) for known in elements):
                elements.append(product)
    return torch.stack(elements)


def _cyclic(order: int) -> Float[Tensor, "operator 3 3"]:
    return rotation_z(torch.arange(order, dtype=torch.float64) * (2 * math.pi / order))


def _dihedral(order: int) -> Float[Tensor, "operator 3 3"]:
    axial = _cyclic(order)
    return torch.cat([axial, axial @ rotation_x(_angle(math.pi))])


def _tetrahedral() -> Float[Tensor, "operator 3 3"]:
    """Threefold axis along z, a twofold in the yz plane."""
    return _closure([_about((0.0, 0.0, 1.0), 3), _about((0.0, math.sqrt(2), 1.0), 2)])


def _octahedral() -> Float[Tensor, "operator 3 3"]:
    """Fourfold axes along x, y and z."""
    return _closure([_about((0.0, 0.0, 1.0), 4), _about((1.0, 1.0, 1.0), 3)])


def _icosahedral(setting: int) -> Float[Tensor, "operator 3 3"]:
    """Icosahedral group in one of four settings.

    Setting 2 has twofold axes along x, y, z and a fivefold along (1, 0, φ). The others are this one turned
    about y: by 90 degrees (1), until the fivefold lies along z (3), and by as much the other way (4).
    """
    fivefold_polar_angle = math.atan(1 / GOLDEN_RATIO)
    turn = {1: math.pi / 2, 2: 0.0, 3: -fivefold_polar_angle, 4: fivefold_polar_angle}[setting]
    second = _closure(
        [
            _about((0.0, 0.0, 1.0), 2),
            _about((1.0, 0.0, GOLDEN_RATIO), 5),
            _about((0.0, 1.0, GOLDEN_RATIO**2), 3),
        ]
    )
    rotation = rotation_y(_angle(turn))
    return rotation @ second @ rotation.T


def point_group(name: str) -> Float[Tensor, "operator 3 3"]:
    """Rotations of a point group, float64, identity first.

    Parameters
    ----------
    name
        ``C1``, ``C2``, …, ``D1``, ``D2``, …, ``T``, ``O``, ``I`` (same as ``I2``), ``I1`` to ``I4``; case
        does not matter. Axes as in RELION: main axis along z, the twofold of ``Dn`` along x.

    Returns
    -------
    Tensor
        Operators that leave a map of this symmetry unchanged.

    Raises
    ------
    InputError
        If the name is none of these (groups with mirrors do not occur in chiral molecules).
    """
    match = re.fullmatch(r"([CD])([1-9]\d{0,2})|(T|O)|I([1-4]?)", name.strip().upper())
    if match is None:
        raise InputError(f"symmetry '{name}' is unknown: use C1, Cn, Dn, T, O, I or I1 to I4")
    family, order, platonic, setting = match.groups()
    if family:
        return _cyclic(int(order)) if family == "C" else _dihedral(int(order))
    if platonic:
        return _tetrahedral() if platonic == "T" else _octahedral()
    return _icosahedral(int(setting or 2))


def coset_representatives(name: str, subgroup_name: str) -> Float[Tensor, "coset 3 3"]:
    """One rotation of every left coset of a subgroup, identity first.

    Each rotation of the group is one of these times a rotation of the subgroup, in one way only.

    Raises
    ------
    InputError
        If one of the names is unknown, the second is no subgroup of the first, or is the same group.
    """
    group, subgroup = point_group(name), point_group(subgroup_name)
    if not bool(_contained(subgroup, group).all()):
        raise InputError(
            f"symmetry '{subgroup_name}' is no subgroup of '{name}' with the same axes; choose one that is"
        )
    if len(group) == len(subgroup):
        raise InputError(f"symmetry '{name}' is '{subgroup_name}' already: there is nothing to expand")
    chosen: list[Tensor] = []
    for element in group:
        covered = bool(chosen) and bool(
            _contained(element[None], (torch.stack(chosen)[:, None] @ subgroup).flatten(0, 1))
        )
        if not covered:
            chosen.append(element)
    return torch.stack(chosen)


def keeps_group(
    group: Float[Tensor, "operator 3 3"], rotation: Float[Tensor, "3 3"], shift: Float[Tensor, "3"]
) -> bool:
    """Whether a map that has a symmetry still has it, about the same centre and axes, once rotated and then shifted."""
    turned = rotation @ group @ rotation.T
    return bool(_contained(turned, group).all()) and torch.allclose(group @ shift, shift, rtol=0, atol=1e-6)


def _contained(elements: Float[Tensor, "some 3 3"], group: Float[Tensor, "operator 3 3"]) -> Bool[Tensor, " some"]:
    """Which rotations belong to a set of rotations."""
    return ((elements[:, None] - group).abs().amax((-1, -2)) < 1e-6).any(1)
