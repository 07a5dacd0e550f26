"""How much of a map is independent: symmetry makes the rest of it."""

from mlit.geometry.map_symmetry import Symmetry
from mlit.maps.mask import MaskResult


def independent_fraction(mask: MaskResult, pixel_size_angstrom: float, symmetry: Symmetry) -> float:
    """Share of the Fourier coefficients of a masked map that are independent of each other.

    It is the share of the box that the mask takes up, divided by the number of copies of each part in it: the order of
    the point group, times for a helix how many rises fit into the height of the mask, place by place.
    """
    order, fraction = len(symmetry.point_group), mask.volume_fraction
    if symmetry.helix is not None:
        rise = symmetry.helix.rise_angstrom / (mask.mask.shape[0] * pixel_size_angstrom)
        fraction = min(fraction, float(mask.mask.amax(0).mean()) * rise)
    return fraction / order
