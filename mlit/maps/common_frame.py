"""Bring two half maps back into one frame.

The half sets are refined apart and drift against each other by a fraction of a degree and of an Ångström: their
shared low frequencies hold them loosely. A rigid motion of half a step each removes the drift. It has six degrees of
freedom, and is applied only where it is beyond chance.
"""

from mlit.fourier.resize import crop_or_pad
from mlit.geometry.map_symmetry import Symmetry
from mlit.geometry.rotations import matrix_from_rotvec, rotvec_from_matrix
from mlit.maps.independence import independent_fraction
from mlit.maps.map_alignment import align_maps
from mlit.maps.references import HalfMaps
from mlit.maps.rigid_motion import RigidMotion

CHANCE_CHI_SQUARED = 22.0  # of six degrees of freedom: exceeded by chance once in a thousand times
LIMIT_OVER_RESOLUTION = 1.3


def common_frame(
    halves: HalfMaps, symmetry: Symmetry, diameter_angstrom: float
) -> tuple[RigidMotion, RigidMotion] | None:
    """Motions of the first and the second half map to their common frame; None where they share one already.

    Parameters
    ----------
    halves
        Half maps.
    symmetry
        Of the maps: only motions that commute with it are allowed.
    diameter_angstrom
        Diameter of the molecule.
    """
    pixel = halves.pixel_size_angstrom
    size = min(halves.first.shape[-1], 2 * round(0.6 * diameter_angstrom / pixel + 2))
    first, second, mask = (crop_or_pad(v, size, 3) for v in (halves.first, halves.second, halves.mask.mask))
    limit = LIMIT_OVER_RESOLUTION * halves.significant_resolution_angstrom
    found = align_maps(first, second, mask, pixel, limit)
    copies = halves.mask.volume_fraction / independent_fraction(halves.mask, pixel, symmetry)  # all are in chi-squared
    if not found.converged or found.chi_squared / copies < CHANCE_CHI_SQUARED:
        return None
    half_way = commuting(found.motion, symmetry).part(2)
    return half_way.inverse(), half_way


def commuting(motion: RigidMotion, symmetry: Symmetry) -> RigidMotion:
    """Part of a small motion that commutes with a symmetry."""
    free_turn, free_shift = symmetry.free()
    turn = free_turn @ rotvec_from_matrix(motion.rotation)
    return RigidMotion(matrix_from_rotvec(turn), free_shift @ motion.shift_angstrom)
