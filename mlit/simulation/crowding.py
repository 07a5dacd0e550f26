"""Other molecules that fill the ice: a background with its own contrast, not meant to be refined."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mlit.geometry.series_geometry import SeriesGeometry
from mlit.simulation.globular import generate_globular
from mlit.simulation.placement import random_rotations
from mlit.simulation.scattering import RESIDUE_STEP_ANGSTROM, RESIDUE_VOLUME_ANGSTROM3
from mlit.simulation.splat import Points
from mlit.simulation.structure import Structure

_SHAPES = 8
_BEADS = 24
_FILL = 0.55
_LAYER_UM = 0.1


@dataclass(frozen=True)
class Crowd:
    """Coarse molecules in random places; every one is a turned copy of one of a few shapes.

    Attributes
    ----------
    shapes
        Structures with one common Gaussian width.
    shape_index
        Shape of each molecule.
    position_angstrom
        Centres from the volume corner; they reach beyond the volume, so that tilted views stay filled.
    rotation
        Shape frame to sample frame.
    """

    shapes: tuple[Structure, ...]
    shape_index: Int[Tensor, " molecule"]
    position_angstrom: Float[Tensor, "molecule 3"]
    rotation: Float[Tensor, "molecule 3 3"]


@dataclass(frozen=True)
class CrowdView:
    """Beads of the crowd that one tilt image shows, in layers of similar defocus.

    Attributes
    ----------
    beads
        Positions from the image corner, integrated potentials, and the layer of each bead.
    layer_defocus_um
        Defocus of the layers.
    """

    beads: Points
    layer_defocus_um: Float[Tensor, " layer"]


def make_crowd_shapes(diameter_angstrom: float, rng: np.random.Generator) -> tuple[Structure, ...]:
    """Invent some small globular molecules of two dozen beads."""
    bead_volume = _molecule_volume(diameter_angstrom) / _BEADS
    spacing = RESIDUE_STEP_ANGSTROM * (bead_volume / RESIDUE_VOLUME_ANGSTROM3) ** (1 / 3)
    return tuple(generate_globular(diameter_angstrom, "C1", spacing, rng, _FILL) for _ in range(_SHAPES))


def fill_slab(
    shapes: tuple[Structure, ...],
    crowding: float,
    extent_angstrom: np.ndarray,
    centre_angstrom: np.ndarray,
    keep_out: Float[Tensor, "particle 3"],
    keep_out_distance_angstrom: float,
    rng: np.random.Generator,
) -> Crowd:
    """Scatter molecules until they fill the wanted share of a box, then remove those inside particles.

    Molecules of the crowd may overlap each other: they only serve as background.
    """
    diameter = shapes[0].diameter_angstrom
    count = round(crowding * float(np.prod(extent_angstrom)) / _molecule_volume(diameter))
    position = torch.as_tensor(rng.uniform(-0.5, 0.5, (count, 3)) * extent_angstrom + centre_angstrom)
    clear = torch.cdist(position, keep_out).amin(-1) > keep_out_distance_angstrom
    index = torch.as_tensor(rng.integers(len(shapes), size=count))
    return Crowd(shapes, index[clear], position[clear], random_rotations(count, rng)[clear])


def view_crowd(crowd: Crowd, geometry: SeriesGeometry, margin_angstrom: float) -> list[CrowdView]:
    """Beads in every tilt image, molecules moved as the geometry says, their defoci rounded to 100 nm."""
    centre_xy, defocus = geometry.project(crowd.position_angstrom)
    size = geometry.image_size_angstrom + margin_angstrom
    seen = ((centre_xy > -margin_angstrom) & (centre_xy < size)).all(-1)
    rotation = geometry.tilt_matrices()
    views = []
    for tilt in range(geometry.tilts):
        molecule = seen[:, tilt].nonzero()[:, 0]
        level, layer = torch.round(defocus[molecule, tilt] / _LAYER_UM).unique(return_inverse=True)
        turn = (rotation[tilt, :2] @ crowd.rotation[molecule]).float()
        views.append(CrowdView(_beads(crowd, molecule, layer, turn, centre_xy[molecule, tilt]), level * _LAYER_UM))
    return views


def _beads(crowd: Crowd, molecule: Tensor, layer: Tensor, turn: Tensor, centre_xy: Tensor) -> Points:
    """Beads of some molecules in one tilt, shape by shape."""
    parts = []
    for number, shape in enumerate(crowd.shapes):
        mine = crowd.shape_index[molecule] == number
        xy = torch.einsum("mij,bj->mbi", turn[mine], shape.position_angstrom.float())
        weight = shape.potential_volt_angstrom3[0].float().repeat(len(xy))
        row = layer[mine].repeat_interleave(shape.atoms)
        parts.append(((xy + centre_xy[mine, None].float()).reshape(-1, 2), weight, row))
    xy, weight, row = (torch.cat(column) for column in zip(*parts, strict=True))
    return Points(xy, weight, row)


def _molecule_volume(diameter_angstrom: float) -> float:
    """Volume that one molecule fills."""
    return _FILL * np.pi / 6 * diameter_angstrom**3
