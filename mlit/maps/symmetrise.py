"""Fourier sums averaged over the operators of a symmetry."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from mlit.fourier.trilinear import corners, gridding_profile
from mlit.geometry.map_symmetry import Symmetry
from mlit.parallel import run_pieces

POINTS_PER_PIECE = 1 << 20
SMOOTH = 97  # samples along an axis that are enough for the fall-off of symmetrised maps

Rotations = Float[Tensor, "operator 3 3"]
Shifts = Float[Tensor, "operator 3"]
Reader = Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor]


def symmetrise(grid: Float[Tensor, "z y x 3"], symmetry: Symmetry, length_angstrom: float) -> Float[Tensor, "z y x 3"]:
    """Sum of a half-space grid over all operators, inside the Nyquist sphere.

    An operator turns the transform, and its shift d multiplies the data by exp(−2πi k · d); weights have no phase.
    The rotations that map the grid onto itself come last and take no interpolation. So values are interpolated once
    for each coset of these: five times for the icosahedral group in place of sixty.

    Parameters
    ----------
    grid
        Real part, imaginary part and weight, completed by Friedel's law, in the layout of
        :mod:`mlit.fourier.trilinear`.
    symmetry
        Of the map.
    length_angstrom
        Side of the map.
    """
    onto_grid, (rotations, shifts) = split_group(symmetry)
    over_cosets = grid
    if len(rotations) > 1:
        over_cosets = _sum_over(grid, rotations, shifts / length_angstrom, _interpolated)
    return _sum_over(over_cosets, onto_grid, torch.zeros(len(onto_grid), 3), _read)


def split_group(
    symmetry: Symmetry,
) -> tuple[Float[Tensor, "aligned 3 3"], tuple[Float[Tensor, "coset 3 3"], Float[Tensor, "coset 3"]]]:
    """Rotations t that map grid points to grid points, and c such that every operator is one product t c.

    The c are rotations, with shifts in Å.
    """
    group = symmetry.point_group
    onto_grid = group[_maps_axes_to_axes(group).all(1)].round()
    cosets: list[Tensor] = []
    found: list[Tensor] = []
    for operator in group:
        if not any(torch.allclose(operator, known, rtol=0, atol=1e-5) for known in found):
            cosets.append(operator)
            found.extend(onto_grid @ operator)
    return onto_grid, Symmetry(torch.stack(cosets), symmetry.helix).operators()


def fall_off(
    size: int, symmetry: Symmetry, length_angstrom: float, device: torch.device | str = "cpu"
) -> Float[Tensor, "z y x"]:
    """Real-space fall-off of a map after insertion and symmetrisation by interpolation.

    Insertion leaves a factor ``sinc²`` along each axis of the grid. An operator brings a second one along
    those axes of the turned grid on which it does not map grid points to grid points.
    """
    if len(symmetry) == 1:
        along = gridding_profile(size, device)
        return along[:, None, None] * along[:, None] * along
    samples = min(size, SMOOTH)
    axis = torch.linspace(-(size // 2), size - 1 - size // 2, samples, device=device) / size
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    place = torch.stack([x, y, z], -1)
    total = torch.zeros_like(x)
    rotations, shifts = symmetry.operators()
    exact = _maps_axes_to_axes(rotations.mT).to(device)
    for rotation, shift, on_grid in zip(rotations.to(place), (shifts / length_angstrom).to(place), exact, strict=True):
        total += (torch.sinc((place - shift) @ rotation) ** (2 + 2 * ~on_grid)).prod(-1)
    mean = total / len(symmetry)
    if samples == size:
        return mean
    return F.interpolate(mean[None, None], size=(size,) * 3, mode="trilinear", align_corners=True)[0, 0]


def _maps_axes_to_axes(rotations: Rotations) -> Tensor:
    """Whether each row of each rotation ("operator 3") is an axis of the grid or its opposite."""
    return ((rotations - rotations.round()).abs() < 1e-6).all(2)


def _sum_over(grid: Tensor, rotations: Rotations, shifts: Shifts, read: Reader) -> Tensor:
    """Sum over operators, with shifts in box lengths, of what ``read`` finds in a grid, plane by plane."""
    size = grid.shape[0]
    table, out = grid.reshape(-1, 3), torch.zeros_like(grid)
    axis = torch.arange(size, device=grid.device, dtype=torch.float32) - size // 2
    along_x = torch.arange(size // 2 + 1, device=grid.device, dtype=torch.float32)

    def fill(planes: Tensor) -> None:
        kz, ky, kx = torch.meshgrid(axis[planes], axis, along_x, indexing="ij")
        inside = kx.square() + ky.square() + kz.square() < (size / 2 - 1.5) ** 2
        points = torch.stack([kx[inside], ky[inside], kz[inside]])
        total = points.new_zeros(points.shape[1], 3)
        for rotation, shift in zip(rotations.to(points), shifts.to(points), strict=True):
            x, y, z = rotation.T @ points
            values = read(table, x, y, z, size)
            total += _shifted(values, shift @ points) if bool(shift.any()) else values
        out[planes] = torch.zeros_like(out[planes]).masked_scatter(inside[..., None], total)

    step = max(1, POINTS_PER_PIECE // (size * (size // 2 + 1)))
    run_pieces(fill, torch.arange(size, device=grid.device).split(step), grid.device)
    return out


def _shifted(values: Float[Tensor, "point 3"], cycles: Float[Tensor, " point"]) -> Float[Tensor, "point 3"]:
    """Values of which the data are turned back by so many cycles."""
    cosine, sine = torch.cos(2 * math.pi * cycles), torch.sin(2 * math.pi * cycles)
    real, imaginary, weight = values.unbind(1)
    return torch.stack([real * cosine + imaginary * sine, imaginary * cosine - real * sine, weight], 1)


def _interpolated(table: Tensor, x: Tensor, y: Tensor, z: Tensor, size: int) -> Tensor:
    """Values "point 3" between the grid points, of the Friedel mate where that is on the grid."""
    around = corners(x, y, z, size)
    values = F.embedding_bag(around.index, table, per_sample_weights=around.weight, mode="sum")
    values[:, 1] *= torch.where(around.mate, -1.0, 1.0)
    return values


def _read(table: Tensor, x: Tensor, y: Tensor, z: Tensor, size: int) -> Tensor:
    """Values "point 3" at grid points, of the Friedel mate where that is on the grid."""
    mate = x < 0
    x, y, z = (torch.where(mate, -k, k).to(torch.int32) for k in (x, y, z))
    values = table[((z + size // 2) * size + (y + size // 2)) * (size // 2 + 1) + x]
    values[:, 1] *= torch.where(mate, -1.0, 1.0)
    return values
