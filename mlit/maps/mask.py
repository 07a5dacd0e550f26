"""Soft masks: a sphere, or the molecule's own shape found in a noisy map."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from torch import Tensor

from mlit.fourier.shells import cube_edge
from mlit.maps.filters import cosine_step, low_pass

Flags = Bool[np.ndarray, "z y x"]
Values = Float[np.ndarray, "z y x"]


@dataclass(frozen=True)
class MaskResult:
    """A soft mask and how it came about.

    Attributes
    ----------
    mask
        0 to 1, on the device of the map.
    kind
        "density" where it follows the molecule; "sphere" where the map showed none and the sphere of the
        diameter stands in.
    volume_fraction
        Mean of the mask over the box: also the share of Fourier coefficients that stay independent.
    """

    mask: Float[Tensor, "z y x"]
    kind: Literal["density", "sphere"]
    volume_fraction: float


@dataclass(frozen=True)
class _Background:
    """Robust level and noise of a low-passed map around the molecule."""

    level: float
    deviation: float


def radius_from_centre(n: int, pixel_size_angstrom: float) -> Float[Tensor, "z y x"]:
    """Distance of every voxel from index n // 2 in Å (float32)."""
    axis = (torch.arange(n, dtype=torch.float32) - n // 2) * pixel_size_angstrom
    squared = axis.square()
    return (squared[:, None, None] + squared[:, None] + squared).sqrt()


def spherical_mask(
    n: int, pixel_size_angstrom: float, diameter_angstrom: float, edge_angstrom: float
) -> Float[Tensor, "z y x"]:
    """Sphere about index n // 2: one up to the radius, a cosine to zero over the edge outside of it."""
    centre = diameter_angstrom / 2 + edge_angstrom / 2
    return cosine_step(radius_from_centre(n, pixel_size_angstrom), centre, edge_angstrom)


def soften(
    binary: Flags, pixel_size_angstrom: float, extend_angstrom: float, edge_angstrom: float
) -> Float[Tensor, "z y x"]:
    """Grow a binary mask by a distance and let it fall to zero by a cosine over another."""
    near = _surroundings(binary, math.ceil((extend_angstrom + edge_angstrom) / pixel_size_angstrom))
    distance = ndimage.distance_transform_edt(~binary[near], sampling=pixel_size_angstrom)
    outside = torch.from_numpy(np.asarray(distance, dtype=np.float32))
    mask = torch.zeros(binary.shape)
    mask[near] = cosine_step(outside, extend_angstrom + edge_angstrom / 2, edge_angstrom)
    return mask


def _surroundings(binary: Flags, margin: int) -> tuple[slice, ...]:
    """Smallest box that holds all set voxels and a margin around them."""
    found = []
    for axis, others in enumerate(((1, 2), (0, 2), (0, 1))):
        used = np.flatnonzero(binary.any(others))
        found.append(slice(max(0, used[0] - margin), min(binary.shape[axis], used[-1] + margin + 1)))
    return tuple(found)


def mask_margin_angstrom(pixel_size_angstrom: float, resolution_angstrom: float) -> float:
    """Width by which a tight mask is grown, and of its soft edge: M's rule 3 max(pixel, resolution / 2).

    M applies it in whole pixels and at any resolution. Here 10 Å is the coarsest that counts (15 Å wide): the
    low-pass has widened the outline of a coarser map already, and a wider margin would leave only the sphere.
    """
    return 3 * max(pixel_size_angstrom, min(resolution_angstrom, 10.0) / 2)


def _background(smooth: Values, radius: Values, inside: Flags, box_radius: float) -> _Background:
    """Median and noise outside of the sphere, from the values below the median: neighbours are bright.

    Voxels that are exactly zero were masked before and say nothing. Where the sphere leaves too little room,
    the darker half of the sphere itself serves.
    """
    values = smooth[~inside & (radius < box_radius) & (smooth != 0)]
    if values.size < 0.1 * inside.sum():
        values = smooth[inside & (smooth != 0)]
    if values.size == 0:
        return _Background(0.0, 0.0)
    level = float(np.median(values))
    below = level - values[values < level]
    deviation = 1.4826 * float(np.median(below)) if below.size else 0.0
    return _Background(level, deviation)


def _otsu_level(values: Float[np.ndarray, "voxel"]) -> tuple[float, float]:
    """Otsu's threshold, which separates two classes best, and the mean of the brighter class."""
    ordered = np.sort(values.astype(np.float64))
    total = np.cumsum(ordered)
    count = np.arange(1, ordered.size)
    dark = total[:-1] / count
    bright = (total[-1] - total[:-1]) / (ordered.size - count)
    separation = count * (ordered.size - count) * (bright - dark) ** 2
    best = int(np.argmax(separation))
    return float(ordered[best]), float(bright[best])


def _labelled(binary: Flags) -> tuple[Int[np.ndarray, "z y x"], int]:
    labels = np.zeros(binary.shape, dtype=np.int32)
    return labels, int(ndimage.label(binary, output=labels))  # pyright: ignore[reportArgumentType]


def _components(bright: Flags, contrast: Values, inside: Flags) -> Flags:
    """Keep the heaviest connected part within the sphere, and others that are neither small nor neighbours.

    A part counts if it has at least 5 % of the heaviest part's contrast, and at least half of the object that
    it belongs to, followed beyond the sphere, lies inside.
    """
    labels, count = _labelled(bright & inside)
    if count == 0:
        return np.zeros_like(bright)
    index = np.arange(1, count + 1)
    weight = np.asarray(ndimage.sum_labels(contrast, labels, index))
    whole, objects = _labelled(bright)
    whole_weight = np.asarray(ndimage.sum_labels(contrast, whole, np.arange(objects + 1)))
    member = np.zeros(count + 1, dtype=int)
    member[labels[labels > 0]] = whole[labels > 0]
    kept = (weight >= 0.05 * weight.max()) & (weight >= 0.5 * whole_weight[member[1:]])
    kept[np.argmax(weight)] = True
    return np.isin(labels, index[kept])


def _tight_mask(smooth: Values, radius: Values, inside: Flags, box_radius: float) -> Flags | None:
    """Binary outline of the molecule in a low-passed map; None where none stands out from the noise."""
    background = _background(smooth, radius, inside, box_radius)
    contrast = smooth - background.level
    otsu, bright_mean = _otsu_level(contrast[inside])
    if bright_mean <= 0 or bright_mean < 5 * background.deviation:
        return None
    threshold = max(0.4 * max(otsu, 0.5 * bright_mean), 3 * background.deviation)
    kept = _components(contrast > threshold, contrast, inside)
    if kept.sum() < 0.01 * inside.sum():
        return None
    return kept


def soft_mask(
    volume: Float[Tensor, "z y x"],
    pixel_size_angstrom: float,
    diameter_angstrom: float,
    resolution_angstrom: float,
    extend_angstrom: float | None = None,
    edge_angstrom: float | None = None,
) -> MaskResult:
    """Find the molecule in the average of two half maps and make a soft mask of it.

    The map is low-passed to the resolution (15 Å at the finest), and where nothing stands out to 1.5 and 2.25
    times that. Level and noise of the background come from outside of the sphere of the diameter, by
    statistics that bright neighbours do not move. Density is whatever exceeds three times that noise and
    0.4 times the level that best separates bright from dark inside the sphere (low, so that weak parts
    stay); small pieces and neighbours that reach into the sphere are dropped. The outline is grown and
    softened outwards, never inwards, and limited by the sphere of the diameter with its own soft edge
    outside, and by the inscribed sphere of the box.

    Parameters
    ----------
    volume
        Sum or average of the half maps, density positive, centred at n // 2.
    pixel_size_angstrom
        Of the map.
    diameter_angstrom
        Largest extent of the molecule: nothing outside of this sphere counts as density.
    resolution_angstrom
        Of the map, roughly.
    extend_angstrom, edge_angstrom
        Growth and width of the soft edge; `mask_margin_angstrom` where not given.

    Returns
    -------
    MaskResult
        Of kind "sphere" where no density stands out (mean contrast below five times the noise).
    """
    n = cube_edge(volume)
    margin = mask_margin_angstrom(pixel_size_angstrom, resolution_angstrom)
    extend = margin if extend_angstrom is None else extend_angstrom
    edge = margin if edge_angstrom is None else edge_angstrom
    radius = radius_from_centre(n, pixel_size_angstrom)
    box_radius = (n // 2 - 1) * pixel_size_angstrom
    inside = radius <= min(diameter_angstrom / 2, box_radius)
    tight = None
    for factor in (1.0, 1.5, 2.25):
        limit = factor * max(15.0, resolution_angstrom)
        smooth = low_pass(volume.detach().cpu().float(), pixel_size_angstrom, limit, 0.5)
        tight = _tight_mask(smooth.numpy(), radius.numpy(), inside.numpy(), box_radius)
        if tight is not None:
            break
    if tight is None:
        mask = spherical_mask(n, pixel_size_angstrom, diameter_angstrom, edge)
    else:
        mask = soften(tight, pixel_size_angstrom, extend, edge)
        mask = torch.minimum(mask, spherical_mask(n, pixel_size_angstrom, diameter_angstrom, edge))
    mask = (mask * cosine_step(radius, box_radius - edge / 2, edge)).to(volume)
    return MaskResult(mask, "sphere" if tight is None else "density", float(mask.mean()))
