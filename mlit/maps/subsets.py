"""Resolution of random subsets of the particles, from the sums of their groups."""

from dataclasses import dataclass

from mlit.fourier.insertion import FourierSums
from mlit.geometry.map_symmetry import Symmetry
from mlit.maps.fsc import maps_at_once
from mlit.maps.reconstruction import density
from mlit.maps.references import HalfMaps
from mlit.maps.rosenthal_henderson import RosenthalHenderson, rosenthal_henderson
from mlit.parallel import run_pieces

AT_LIMIT = 1.02  # times the finest detail of the maps: these say nothing about resolution


@dataclass(frozen=True)
class Subsets:
    """How far the half maps of parts of the data agree, smallest part first.

    Attributes
    ----------
    share
        Part of the particles that each subset holds; 1 is the last.
    resolution_angstrom
        Where the corrected FSC of each falls below 0.143.
    finest_angstrom
        Finest detail that the maps can hold.
    """

    share: tuple[float, ...]
    resolution_angstrom: tuple[float, ...]
    finest_angstrom: float

    def line(self, particles: int) -> RosenthalHenderson | None:
        """Fit resolution against number; None where fewer than two subsets stay off the finest detail."""
        inside = [
            (share * particles, resolution)
            for share, resolution in zip(self.share, self.resolution_angstrom, strict=True)
            if resolution > AT_LIMIT * self.finest_angstrom
        ]
        return rosenthal_henderson(*zip(*inside, strict=True)) if len(inside) > 1 else None


def judge_subsets(sums: FourierSums, halves: HalfMaps, symmetry: Symmetry, seed: int) -> Subsets | None:
    """Judge the first, the first two, … groups of each half set, in the mask of all.

    Parameters
    ----------
    sums
        Sums of all images; a half set with a single group has no subsets, which gives None.
    halves
        Half maps of all.
    symmetry
        Of the map.
    seed
        For the phase randomisation.
    """
    folds = sums.rows.shape[0] // 2
    if folds == 1:
        return None
    found = []
    for count in range(1, folds):
        first, second = run_pieces(
            lambda half, count=count: density(sums, list(range(half * folds, half * folds + count)), symmetry),
            (0, 1),
            sums.rows.device,
            maps_at_once(sums.size),
        )
        found.append(HalfMaps.judge(first, second, sums.pixel_size_angstrom, halves.mask, seed, symmetry))
    resolutions = tuple(each.curves.resolution_angstrom(0.143) for each in (*found, halves))
    finest = max(sums.resolution_angstrom, 2 * sums.pixel_size_angstrom)
    return Subsets(tuple(count / folds for count in range(1, folds + 1)), resolutions, finest)
