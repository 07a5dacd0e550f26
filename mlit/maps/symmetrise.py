"""Fourier sums averaged over a point group."""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from mlit.fourier.trilinear import corners, gridding_profile
from mlit.parallel import run_pieces

POINTS_PER_PIECE = 1 << 20
SMOOTH = 97  # samples along an axis that are enough for the fall-off of symmetrised maps

Operators = Float[Tensor, "operator 3 3"]
Reader = Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor]


def symmetrise(grid: Float[Tensor, "z y x 3"], operators: Operators) -> Float[Tensor, "z y x 3"]:
    """Sum of a half-space grid over all rotations of a point group, inside the Nyquist sphere.

    The group is cut into cosets of the rotations that map the grid onto itself. Values are interpolated once for each
    coset, and the sum of these is read at the turned grid points, which takes no interpolation: five for the
    icosahedral group in place of sixty.

    Parameters
    ----------
    grid
        Real part, imaginary part and weight, completed by Friedel's law, in the layout of
        :mod:`mlit.fourier.trilinear`.
    operators
        All rotations of the group.
    """
    onto_grid, cosets = split_group(operators)
    over_cosets = _sum_over(grid, cosets, _interpolated) if len(cosets) > 1 else grid
    return _sum_over(over_cosets, onto_grid, _read)


def split_group(operators: Operators) -> tuple[Float[Tensor, "aligned 3 3"], Float[Tensor, "coset 3 3"]]:
    """Rotations t that map grid points to grid points, and c such that every operator is one product c t."""
    onto_grid = operators[_maps_axes_to_axes(operators).all(1)].round()
    cosets: list[Tensor] = []
    found: list[Tensor] = []
    for operator in operators:
        if not any(torch.allclose(operator, known, rtol=0, atol=1e-5) for known in found):
            cosets.append(operator)
            found.extend(operator @ onto_grid)
    return onto_grid, torch.stack(cosets)


def fall_off(size: int, operators: Operators) -> Float[Tensor, "z y x"]:
    """Real-space fall-off of a map after insertion and symmetrisation by interpolation.

    Insertion leaves a factor ``sinc²`` along each axis of the grid. An operator brings a second one along
    those axes of the turned grid on which it does not map grid points to grid points.
    """
    if len(operators) == 1:
        along = gridding_profile(size, operators.device)
        return along[:, None, None] * along[:, None] * along
    samples = min(size, SMOOTH)
    axis = torch.linspace(-(size // 2), size - 1 - size // 2, samples, device=operators.device) / size
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    place = torch.stack([x, y, z], -1)
    total = torch.zeros_like(x)
    for operator, exact in zip(operators.float(), _maps_axes_to_axes(operators), strict=True):
        total += (torch.sinc(place @ operator.T) ** (2 + 2 * ~exact)).prod(-1)
    mean = total / len(operators)
    if samples == size:
        return mean
    return F.interpolate(mean[None, None], size=(size,) * 3, mode="trilinear", align_corners=True)[0, 0]


def _maps_axes_to_axes(operators: Operators) -> Tensor:
    """Whether each row of each operator ("operator 3") is an axis of the grid or its opposite."""
    return ((operators - operators.round()).abs() < 1e-6).all(2)


def _sum_over(grid: Tensor, operators: Operators, read: Reader) -> Tensor:
    """Sum over operators of what ``read`` finds in a grid at the turned places of its points, plane by plane."""
    size = grid.shape[0]
    table, out = grid.reshape(-1, 3), torch.zeros_like(grid)
    axis = torch.arange(size, device=grid.device, dtype=torch.float32) - size // 2
    along_x = torch.arange(size // 2 + 1, device=grid.device, dtype=torch.float32)

    def fill(planes: Tensor) -> None:
        kz, ky, kx = torch.meshgrid(axis[planes], axis, along_x, indexing="ij")
        inside = kx.square() + ky.square() + kz.square() < (size / 2 - 1.5) ** 2
        points = torch.stack([kx[inside], ky[inside], kz[inside]])
        total = points.new_zeros(points.shape[1], 3)
        for operator in operators.to(points):
            x, y, z = operator @ points
            total += read(table, x, y, z, size)
        out[planes] = torch.zeros_like(out[planes]).masked_scatter(inside[..., None], total)

    step = max(1, POINTS_PER_PIECE // (size * (size // 2 + 1)))
    run_pieces(fill, torch.arange(size, device=grid.device).split(step), grid.device)
    return out


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
