"""Masks that a person gives: brought to the grid of the maps, and softened where they are binary."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from mlit.fourier.resize import resample_to_pixel_size
from mlit.geometry.map_symmetry import Symmetry
from mlit.maps.mask import MaskResult, mask_margin_angstrom, soft_mask, soften
from mlit.maps.references import HalfMaps

SAME_PIXEL_ANGSTROM = 0.02  # M's tolerance
BINARY_LEVEL = 0.25  # of a binary mask after interpolation; M's
DRAWS = 5  # of the phase randomisation
COARSE_ANGSTROM = 20.0
BETWEEN = 1e-3  # share of voxels with a value between 0 and 1, up to which a mask counts as binary

MaskKind = Literal["binary", "soft"]


def mask_kind(mask: Float[Tensor, "z y x"]) -> MaskKind:
    """Tell a mask of zeros and ones from one with a soft edge."""
    set_voxels = (mask > 0.5).sum()
    between = ((mask > 0.01) & (mask < 0.99)).sum()
    return "binary" if between <= BETWEEN * set_voxels else "soft"


def on_grid(
    mask: Float[Tensor, "z y x"], mask_pixel_angstrom: float, box: int, pixel_size_angstrom: float
) -> Float[Tensor, "new_z new_y new_x"]:
    """Mask at the pixel size and box of the maps, centre on centre; a binary one is made binary again."""
    kind = mask_kind(mask)
    mask = resample_to_pixel_size(mask, mask_pixel_angstrom, pixel_size_angstrom, box)
    return (mask > BINARY_LEVEL).float() if kind == "binary" else mask.clamp(0, 1)


def judge_in_mask(
    first: Float[Tensor, "z y x"],
    second: Float[Tensor, "z y x"],
    pixel_size_angstrom: float,
    mask: Float[Tensor, "z y x"] | None,
    diameter_angstrom: float | None,
    symmetry: Symmetry,
    seed: int,
) -> HalfMaps:
    """Correlate half maps inside a given mask, or one that is made from their average.

    A soft mask is taken as it is. The edge of the others depends on the resolution, and this on the mask: they are
    made twice, first for a coarse map.

    Parameters
    ----------
    first, second
        Half maps.
    pixel_size_angstrom
        Of the maps.
    mask
        Given mask; made from the map where it is None.
    diameter_angstrom
        Of the molecule; needed where no mask is given.
    symmetry
        Of the maps.
    seed
        For the phase randomisation.
    """

    def judged(edge_for: float) -> HalfMaps:
        made = _mask_for(edge_for, (first + second) / 2, pixel_size_angstrom, mask, diameter_angstrom)
        return HalfMaps.judge(first, second, pixel_size_angstrom, made, seed, symmetry, DRAWS)

    halves = judged(COARSE_ANGSTROM)
    if mask is not None and mask_kind(mask) == "soft":
        return halves
    return judged(halves.curves.resolution_angstrom())


def _mask_for(
    resolution_angstrom: float,
    average: Float[Tensor, "z y x"],
    pixel_size_angstrom: float,
    mask: Float[Tensor, "z y x"] | None,
    diameter_angstrom: float | None,
) -> MaskResult:
    """Mask with the edge that suits a resolution."""
    if mask is None:
        if diameter_angstrom is None:
            raise ValueError("a mask or a diameter is needed")
        return soft_mask(average, pixel_size_angstrom, diameter_angstrom, resolution_angstrom)
    if mask_kind(mask) == "binary":
        margin = mask_margin_angstrom(pixel_size_angstrom, resolution_angstrom)
        mask = soften((mask > 0.5).cpu().numpy(), pixel_size_angstrom, margin, margin).to(average)
    return MaskResult(mask, "density", float(mask.mean()))
