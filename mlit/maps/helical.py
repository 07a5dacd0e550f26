"""Build a whole helix from the units in the middle of a map.

Averaging over the units of a box leaves the best estimate in the middle of the map; towards the ends fewer units
take part, and the filament bends away. So the map is made anew from a slice of it: the density at height z is that at
z − h · rise, turned by h · twist, for the two h that lead to heights t of less than a rise from the middle, blended
with the weights cos²(π t / 2 rise), which add up to one.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.fourier.shells import cube_edge
from mlit.geometry.map_symmetry import Helix
from mlit.maps.filters import cosine_step
from mlit.maps.rigid_motion import X, Y, rotate_plane


def wind(volume: Float[Tensor, "z y x"], helix: Helix, pixel_size_angstrom: float) -> Float[Tensor, "z y x"]:
    """Map of which every place is a copy of one within a rise of the middle.

    Interpolation is band-limited; density in the corners of the box, farther from the axis than 0.46 of its side, is
    not reliable.

    Parameters
    ----------
    volume
        Map, centred at n // 2.
    helix
        Its symmetry.
    pixel_size_angstrom
        Of the map.
    """
    n = cube_edge(volume)
    height = (torch.arange(n, dtype=torch.float64) - n // 2) * (pixel_size_angstrom / helix.rise_angstrom)
    below = height.floor()
    middle_part = _without_ends(volume, helix.rise_angstrom / pixel_size_angstrom)
    total = torch.zeros_like(volume)
    for steps in (below, below + 1):
        middle = height - steps  # in rises
        weight = torch.cos(math.pi / 2 * middle).square()
        planes = _planes_at(middle_part, middle * (helix.rise_angstrom / pixel_size_angstrom))
        turned = _turn_planes(planes, steps * helix.twist_rad)
        total += weight.to(volume)[:, None, None] * turned
    return total


def _without_ends(volume: Float[Tensor, "z y x"], kept: float) -> Float[Tensor, "z y x"]:
    """Fade out, towards both ends, what is farther along z than so many pixels: interpolation is periodic."""
    n = cube_edge(volume)
    edge = max(n / 2 - kept, 1.0)
    distance = (torch.arange(n, dtype=torch.float32) - n // 2).abs()
    return volume * cosine_step(distance, n / 2 - edge / 2, edge).to(volume)[:, None, None]


def _planes_at(volume: Float[Tensor, "z y x"], height: Float[Tensor, " new_z"]) -> Float[Tensor, "new_z y x"]:
    """Planes of a map at heights between its own, in pixels from the middle."""
    n = cube_edge(volume)
    waves = n - 1 if n % 2 == 0 else n  # all below the Nyquist frequency
    phase = math.pi / n * ((height + n // 2)[:, None] - torch.arange(n, dtype=torch.float64))
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
