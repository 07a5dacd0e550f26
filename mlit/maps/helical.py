"""Build a whole helix from the units in the middle of a map.

Averaging over the units of a box leaves the best estimate in the middle of the map; towards the ends the filament
bends away, and there is less of it. So the map is made anew from a slice of it: the density at height z is that at
z − h · rise, turned by h · twist, for the two h that lead to heights t of less than a rise from the middle, blended
with the weights cos²(π t / 2 rise), which add up to one.

Where a rise is no more than a few voxels the slice would be too thin for them. There the same is done with the 2nd,
4th, … power of the screw, and the result averaged over the screws in between.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.fourier.shells import cube_edge
from mlit.geometry.map_symmetry import Helix
from mlit.maps.filters import cosine_step
from mlit.maps.rigid_motion import X, Y, Z, displace, rotate_plane

LEAST_SLICE_PX = 8.0  # half of the slice that everything is made from
LARGEST_SLICE = 1 / 8  # of the box


def wind(volume: Float[Tensor, "z y x"], helix: Helix, pixel_size_angstrom: float) -> Float[Tensor, "z y x"]:
    """Map of which every place is a copy of one near the middle.

    Interpolation is band-limited; density farther from the axis than 0.46 of the side of the box is not reliable.

    Parameters
    ----------
    volume
        Map, centred at n // 2.
    helix
        Its symmetry.
    pixel_size_angstrom
        Of the map.
    """
    n, rise = cube_edge(volume), helix.rise_angstrom / pixel_size_angstrom
    doublings = max(0, math.ceil(math.log2(min(LEAST_SLICE_PX, LARGEST_SLICE * n) / rise)))
    if doublings == 0:
        return _from_slice(volume, rise, helix.twist_rad, n // 2)
    powers = [2**doubling for doubling in range(doublings)]
    above = 2 * math.ceil(2 * powers[-1] * rise) + n // 2  # the ends of this longer helix fade out before they are cut
    wound = _without_ends(_from_slice(volume, 2 * powers[-1] * rise, 2 * powers[-1] * helix.twist_rad, above), n / 2)
    for power in powers:
        wound = _screwed(wound, power * rise, power * helix.twist_rad).add_(wound).div_(2)
    return wound[above - n // 2 :][:n]


def _screwed(volume: Float[Tensor, "z y x"], rise_px: float, twist_rad: float) -> Float[Tensor, "z y x"]:
    """Map moved along z and turned; what leaves it at the top comes back at the bottom."""
    turned = _turn_planes(volume, torch.full((len(volume),), twist_rad, dtype=torch.float64))
    return displace(turned, Z, torch.tensor(rise_px).to(volume))


def _from_slice(
    volume: Float[Tensor, "z y x"], rise_px: float, twist_rad: float, above: int
) -> Float[Tensor, "new_z y x"]:
    """Map made from what lies within a rise of the middle, with so many planes below the middle, and as many above."""
    height = torch.arange(-above, len(volume) - 2 * (len(volume) // 2) + above, dtype=torch.float64) / rise_px
    below = height.floor()
    middle = _without_ends(volume, rise_px)
    total = volume.new_zeros(len(height), *volume.shape[1:])
    for steps in (below, below + 1):
        from_middle = height - steps  # in rises
        weight = torch.cos(math.pi / 2 * from_middle).square()
        turned = _turn_planes(_planes_at(middle, from_middle * rise_px), steps * twist_rad)
        total.addcmul_(turned, weight.to(volume)[:, None, None])
    return total


def _without_ends(volume: Float[Tensor, "z y x"], kept_px: float) -> Float[Tensor, "z y x"]:
    """Fade out, towards both ends, what is farther along z than so many pixels: interpolation is periodic."""
    n = len(volume)
    edge = max(n / 2 - kept_px, 1.0)
    distance = (torch.arange(n, dtype=torch.float32) - n // 2).abs()
    return volume * cosine_step(distance, n / 2 - edge / 2, edge).to(volume)[:, None, None]


def _planes_at(volume: Float[Tensor, "z y x"], height_px: Float[Tensor, " new_z"]) -> Float[Tensor, "new_z y x"]:
    """Planes of a map at heights between its own, from the middle."""
    n = len(volume)
    waves = n - 1 if n % 2 == 0 else n  # all below the Nyquist frequency
    phase = math.pi / n * ((height_px + n // 2)[:, None] - torch.arange(n, dtype=torch.float64))
    on_plane = phase.sin().abs() < 1e-9
    kernel = torch.where(on_plane, waves / n, (waves * phase).sin() / (n * phase.sin().where(~on_plane, 1.0)))
    return (kernel.to(volume) @ volume.flatten(1)).unflatten(1, volume.shape[1:])


def _turn_planes(volume: Float[Tensor, "z y x"], angle_rad: Float[Tensor, " z"]) -> Float[Tensor, "z y x"]:
    """Turn each plane about the middle by its own angle from x towards y: by right angles, then by shears."""
    quarters = (angle_rad / (math.pi / 2)).round()
    turned = volume.clone()
    for quarter in (1, 2, 3):
        chosen = (quarters % 4 == quarter).to(volume.device)
        turned[chosen] = _quarter_turns(volume[chosen], quarter)
    return rotate_plane(turned, X, Y, (angle_rad - quarters * (math.pi / 2))[:, None, None])


def _quarter_turns(volume: Float[Tensor, "z y x"], quarters: int) -> Float[Tensor, "z y x"]:
    """Turn planes about index n // 2 by right angles from x towards y."""
    for _ in range(quarters):
        volume = volume.transpose(X, Y).flip(X)
        volume = volume.roll(1, X) if volume.shape[X] % 2 == 0 else volume
    return volume
