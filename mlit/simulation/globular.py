"""Invented globular molecules: chains that fill a lumpy, asymmetric body at the density of protein."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from mlit.errors import InputError
from mlit.geometry.symmetry import point_group
from mlit.simulation.scattering import PROTEIN_CONTRAST_VOLT, RESIDUE_STEP_ANGSTROM, RESIDUE_VOLUME_ANGSTROM3
from mlit.simulation.structure import Structure, gaussian_b_factor

_CANDIDATES = 24
_CHAIN_BEADS = 150
_LUMPS = 14
_NUCLEIC_FRACTION = 0.25
_NUCLEIC_CONTRAST = 1.7


@dataclass(frozen=True)
class _Body:
    """Cubic voxel map of where chains may run; index = floor(x / spacing) + half."""

    allowed: np.ndarray
    spacing: float

    @property
    def half(self) -> int:
        return self.allowed.shape[0] // 2

    def index(self, position: np.ndarray) -> np.ndarray:
        """Flat voxel index of positions in Å; positions outside fall on the (empty) border."""
        size = self.allowed.shape[0]
        voxel = np.clip(np.floor(position / self.spacing).astype(np.int64) + self.half, 0, size - 1)
        return (voxel[..., 2] * size + voxel[..., 1]) * size + voxel[..., 0]

    def centres(self) -> np.ndarray:
        """Positions (voxel, 3) in Å of the centres of the allowed voxels."""
        voxel = np.argwhere(self.allowed)[:, ::-1]
        return (voxel - self.half + 0.5) * self.spacing


def generate_globular(
    diameter_angstrom: float,
    symmetry: str,
    bead_spacing_angstrom: float,
    rng: np.random.Generator,
    fill: float = 0.4,
) -> Structure:
    """Invent a molecule.

    A lumpy random field marks ``fill`` of the ball of that diameter as the body; chains of beads walk in it
    with persistence and repel each other, so that the result has domains, clefts and a rough interior down to
    the bead spacing. Each bead carries the potential of ``134 Å³ · (spacing / 3.8 Å)³`` of protein above ice,
    a quarter of the chains that of nucleic acid. For a group of order n the chains fill the domain nearest to
    one of n equivalent points and are copied.

    Parameters
    ----------
    diameter_angstrom
        Twice the largest distance of a bead from the centre.
    symmetry
        Point group in RELION's orientation.
    bead_spacing_angstrom
        Step of the chain: about the finest detail. 3.8 is one bead a residue, 6 is enough for 12 Å.
    rng
        Source of randomness; the same state gives the same molecule.
    fill
        Share of the ball that the molecule occupies.

    Raises
    ------
    InputError
        Unknown group, or a body too small for even ten beads.
    """
    operators = point_group(symmetry).numpy()
    bead_volume = RESIDUE_VOLUME_ANGSTROM3 * (bead_spacing_angstrom / RESIDUE_STEP_ANGSTROM) ** 3
    volume = fill * np.pi / 6 * diameter_angstrom**3 / len(operators)
    beads = int(volume / bead_volume)
    if beads < 10:
        raise InputError(
            f"simulation.structure: a {diameter_angstrom:g} Å {symmetry} particle has {beads} beads "
            f"of {bead_spacing_angstrom:g} Å; lower bead_spacing_angstrom"
        )
    body = _lumpy_body(diameter_angstrom / 2, operators, volume, bead_spacing_angstrom, rng)
    chains = max(1, round(beads / _CHAIN_BEADS))
    walk = _walk_chains(body, chains, -(-beads // chains), bead_spacing_angstrom, rng)
    contrast = np.where(rng.random(chains) < _NUCLEIC_FRACTION, _NUCLEIC_CONTRAST, 1.0)
    weight = np.repeat(contrast[None], walk.shape[0], 0).reshape(-1)[:beads] * PROTEIN_CONTRAST_VOLT * bead_volume
    position = _centred(walk.reshape(-1, 3)[:beads], operators, diameter_angstrom / 2)
    return Structure(
        torch.as_tensor(np.einsum("gij,aj->gai", operators, position).reshape(-1, 3)),
        torch.as_tensor(np.tile(weight, len(operators))[None]),
        torch.tensor([gaussian_b_factor(bead_volume)], dtype=torch.float64),
        symmetry,
    )


def _lumpy_body(
    radius: float, operators: np.ndarray, volume: float, bead_spacing: float, rng: np.random.Generator
) -> _Body:
    """Mark the voxels of highest lumpiness in the ball's asymmetric unit until they hold ``volume``."""
    spacing = max(bead_spacing, radius / 40)
    half = int(np.ceil(radius / spacing)) + 2
    axis = (np.arange(2 * half) - half + 0.5) * spacing
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    position = np.stack([x, y, z], -1)
    inside = (position**2).sum(-1) <= (radius - 0.5 * spacing) ** 2
    inside &= _asymmetric_unit(position, operators, rng)
    lumpiness = -0.6 * (position**2).sum(-1) / radius**2
    for _ in range(_LUMPS):
        centre = rng.normal(size=3)
        centre *= 0.75 * radius * rng.random() ** (1 / 3) / np.linalg.norm(centre)
        width = radius * rng.uniform(0.12, 0.3)
        lumpiness += rng.uniform(0.5, 1.5) * np.exp(-((position - centre) ** 2).sum(-1) / (2 * width**2))
    wanted = min(int(np.ceil(volume / spacing**3)), int(inside.sum()))
    threshold = np.sort(lumpiness[inside])[-wanted]
    return _Body(_without_islands(inside & (lumpiness >= threshold)), spacing)


def _without_islands(allowed: np.ndarray) -> np.ndarray:
    """Drop separate pieces in which a whole chain would be trapped."""
    label = np.empty(allowed.shape, np.int32)
    ndimage.label(allowed, output=label)
    voxels = np.bincount(label.ravel())
    voxels[0] = 0
    return np.isin(label, np.flatnonzero(voxels >= 0.2 * voxels.max()))


def _asymmetric_unit(position: np.ndarray, operators: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where a random general point is the nearest of its symmetry copies."""
    point = rng.normal(size=3)
    return np.all([position @ point >= position @ (operator @ point) for operator in operators], axis=0)


def _walk_chains(body: _Body, chains: int, steps: int, spacing: float, rng: np.random.Generator) -> np.ndarray:
    """Grow all chains at once, each step to the emptiest of some forward places; (step, chain, 3)."""
    starts = body.centres()
    position = starts[rng.choice(len(starts), size=chains, replace=len(starts) < chains)]
    position = position + rng.uniform(-0.5, 0.5, position.shape) * body.spacing
    direction = rng.normal(size=(chains, 3))
    penalty = 10 * np.asarray(ndimage.distance_transform_edt(~body.allowed)).ravel()
    size = body.allowed.shape[0]
    neighbours = np.array([dx + size * (dy + size * dz) for dx in (-1, 0, 1) for dy in (-1, 0, 1) for dz in (-1, 0, 1)])
    walk = np.empty((steps, chains, 3))
    for step in range(steps):
        walk[step] = position
        np.add.at(penalty, np.clip(body.index(position)[:, None] + neighbours, 0, penalty.size - 1), 0.3)
        np.add.at(penalty, body.index(position), 0.7)
        trial = direction[:, None] + 0.9 * rng.normal(size=(chains, _CANDIDATES, 3))
        trial /= np.linalg.norm(trial, axis=-1, keepdims=True)
        cost = penalty[body.index(position[:, None] + spacing * trial)] + 0.3 * rng.random((chains, _CANDIDATES))
        direction = trial[np.arange(chains), cost.argmin(1)]
        position = position + spacing * direction
    return walk


def _centred(position: np.ndarray, operators: np.ndarray, radius: float) -> np.ndarray:
    """Move the centroid to the origin along directions that every operator keeps, then fit the radius."""
    centred = position - operators.mean(0) @ position.mean(0)
    return centred * radius / np.linalg.norm(centred, axis=-1).max()
