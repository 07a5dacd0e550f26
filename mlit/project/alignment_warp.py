"""The image warp that stands for what an axis angle and an offset cannot say of an alignment."""

from dataclasses import dataclass

import numpy as np
import torch

from mlit.geometry.spline import natural_spline_weights
from mlit.project.external_alignment import ExternalAlignment, points_in_plane, straight_position_px

SAMPLES = 49  # along each axis of the image
NODE_COUNTS = (2, 3, 4, 5, 6, 8, 10, 12, 16)
GOOD_ENOUGH_PX = 0.1
NOTHING_PX = 0.01


@dataclass(frozen=True)
class AlignmentWarp:
    """An image warp that was fitted to an alignment, and what it leaves over.

    Attributes
    ----------
    grid_px : ndarray of float64, "tilt y x 2", or None
        Nodes in pixels of the aligned stack, subtracted as Warp does; None where nothing is to be said.
    largest_px : float
        Largest displacement in the plane through the middle of the sample.
    residual_px, largest_residual_px : float
        Root mean square and largest distance from the displaced places in that plane.
    depth_residual_px : float
        Root mean square distance at the top and the bottom of the sample, which an image warp cannot tell apart.
    """

    grid_px: np.ndarray | None
    largest_px: float
    residual_px: float
    largest_residual_px: float
    depth_residual_px: float


def fit_warp(
    alignment: ExternalAlignment,
    image_size_px: tuple[float, float],
    thickness_px: float,
    nodes: tuple[int, int] | None = None,
) -> AlignmentWarp:
    """Fit an image warp to an alignment.

    Displacements are sampled all over the image, for the sample's middle plane, and the nodes of natural splines
    follow by least squares.

    Parameters
    ----------
    alignment : ExternalAlignment
        The alignment.
    image_size_px : tuple of float
        Width and height of the raw images.
    thickness_px : float
        Of the sample, to say what differs with depth.
    nodes : tuple of int, optional
        Along x and y; by default the fewest that come within `GOOD_ENOUGH_PX` of every displacement, or the most of
        `NODE_COUNTS`.
    """
    field = _displacement(alignment, image_size_px, 0.0)
    deep = [_displacement(alignment, image_size_px, side * thickness_px / 2) for side in (-1, 1)]
    largest = _largest(field)
    if nodes is None and largest < NOTHING_PX:
        return AlignmentWarp(None, largest, _rms(field), largest, _rms(np.stack(deep)))
    choices = [nodes] if nodes else [(count, count) for count in NODE_COUNTS]
    grid, fitted = _fit(field, choices[0])
    for choice in choices[1:]:
        if _largest(fitted - field) <= GOOD_ENOUGH_PX:
            break
        grid, fitted = _fit(field, choice)
    left = fitted - field
    return AlignmentWarp(-grid, largest, _rms(left), _largest(left), _rms(np.stack([fitted - one for one in deep])))


def _displacement(alignment: ExternalAlignment, size_px: tuple[float, float], depth_px: float) -> np.ndarray:
    """Displacement over the image for one plane of the sample, "tilt y x 2"."""
    fraction = np.linspace(0, 1, SAMPLES)
    x, y = np.meshgrid((fraction - 0.5) * size_px[0], (fraction - 0.5) * size_px[1])
    points = points_in_plane(alignment, np.stack([x, y], -1).reshape(-1, 2), depth_px)
    away = alignment.raw_position_px(points) - straight_position_px(alignment, points)
    return away.reshape(len(away), SAMPLES, SAMPLES, 2)


def _fit(field: np.ndarray, nodes: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Nodes "tilt y x 2" of the splines nearest to a field, and their values where it was sampled."""
    fraction = torch.linspace(0, 1, SAMPLES, dtype=torch.float64)
    x, y = (natural_spline_weights(count, fraction).numpy() for count in nodes)
    grid = np.einsum("yn,xm,tnmc->tyxc", np.linalg.pinv(y), np.linalg.pinv(x), field)
    return grid, np.einsum("ny,mx,tyxc->tnmc", y, x, grid)


def _rms(field: np.ndarray) -> float:
    return float(np.sqrt((field**2).sum(-1).mean()))


def _largest(field: np.ndarray) -> float:
    return float(np.sqrt((field**2).sum(-1)).max())
