"""Blocks by the name that configs call them."""

from collections.abc import Callable, Mapping
from typing import Any

from mlit.deformation.astigmatism import Astigmatism
from mlit.deformation.block import Block
from mlit.deformation.defocus import Defocus
from mlit.deformation.even_aberrations import EvenAberrations
from mlit.deformation.image_warp import ImageWarp
from mlit.deformation.imaging import Imaging
from mlit.deformation.magnification import Magnification
from mlit.deformation.odd_aberrations import OddAberrations
from mlit.deformation.phase_shift import PhaseShift
from mlit.deformation.spherical_aberration import SphericalAberration
from mlit.deformation.stage_angles import StageAngles
from mlit.deformation.volume_warp import VolumeWarp

OPTICS = (Astigmatism, PhaseShift, SphericalAberration, EvenAberrations, OddAberrations, Magnification)
BLOCKS: dict[str, Callable[..., Block]] = {
    block.name: block for block in (ImageWarp, VolumeWarp, StageAngles, Defocus, *OPTICS)
}


def make_blocks(imaging: Imaging, options: Mapping[str, Mapping[str, Any]]) -> list[Block]:
    """Make the enabled blocks for a series.

    Parameters
    ----------
    imaging
        Starting imaging.
    options
        For each block its arguments, and ``enabled``.
    """
    made = []
    for name, block in BLOCKS.items():
        arguments = dict(options.get(name, {"enabled": False}))
        if arguments.pop("enabled"):
            made.append(block(imaging, **arguments))
    return made
