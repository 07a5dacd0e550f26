"""A deformation that RELION stored, as an image warp."""

import numpy as np
import torch
from torch import Tensor

from mlit.errors import InputError
from mlit.geometry.spline import natural_spline_weights
from mlit.io.relion5.deformations import COEFFICIENT_COLUMN, GRID_COLUMNS, KIND_COLUMN, Deformation
from mlit.io.relion5.tilt_series import TiltTable
from mlit.io.relion5.tomograms import Tomogram

NODES = (2, 3, 4, 5, 6, 8, 9, 12, 16)  # along each axis, until the rest is small
SMALL_ANGSTROM = 0.02  # rms
SAMPLES = 65  # along each axis


def read_deformation(tomogram: Tomogram, tilts: TiltTable, image_size_px: tuple[int, int]) -> Deformation | None:
    """Return the deformation of a series; None where it has none.

    Raises
    ------
    InputError
        If its kind is not known or its coefficients do not fit it.
    """
    if not tilts.has(COEFFICIENT_COLUMN) or any(tomogram.text(column) is None for column in GRID_COLUMNS):
        return None
    kind = tomogram.text(KIND_COLUMN)
    if kind is None:
        raise InputError(f"{tomogram.path}: has {GRID_COLUMNS[0]} but no {KIND_COLUMN}; add linear, Fourier or spline")
    across, down = (int(tomogram.number_of(column)) for column in GRID_COLUMNS)
    deformation = Deformation(kind, (across, down), image_size_px, tilts.vectors(COEFFICIENT_COLUMN))
    deformation.check(str(tilts.path))
    return deformation


def image_warp_grid(
    tomogram: Tomogram, tilts: TiltTable, image_size_px: tuple[int, int]
) -> tuple[np.ndarray | None, float]:
    """Return the image warp that does what a deformation does, fitted to it over the whole image.

    Returns
    -------
    grid : ndarray "tilt y x 2" or None
        Nodes in pixels, in the order of the file; None where there is no deformation.
    residual : float
        Root mean square of what the grid cannot follow, in pixels.
    """
    deformation = read_deformation(tomogram, tilts, image_size_px)
    if deformation is None:
        return None, 0.0
    at = torch.linspace(0, 1, SAMPLES, dtype=torch.float64)
    places = torch.cartesian_prod(at, at).flip(-1) * torch.tensor(image_size_px, dtype=torch.float64)
    field = torch.from_numpy(-deformation.at(places.numpy())).unflatten(1, (SAMPLES, SAMPLES))
    grid, residual = field[:, :1, :1], 0.0
    small_px = SMALL_ANGSTROM / tomogram.pixel_size_angstrom
    for nodes in NODES:
        grid, residual = _fit(field, natural_spline_weights(nodes, at))
        if residual < small_px:
            break
    return grid.numpy(), residual


def _fit(field: Tensor, weights: Tensor) -> tuple[Tensor, float]:
    """Nodes of a spline grid nearest to samples "tilt y x 2", and the rms difference of a vector."""
    inverse = torch.linalg.pinv(weights)
    grid = torch.einsum("ay,bx,tyxc->tabc", inverse, inverse, field)
    rest = field - torch.einsum("ya,xb,tabc->tyxc", weights, weights, grid)
    return grid, float(rest.square().sum(-1).mean().sqrt())
