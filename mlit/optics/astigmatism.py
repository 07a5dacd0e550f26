"""Astigmatism as a vector, and as files have it.

The vector is ``(δ cos 2θ, δ sin 2θ)``: δ is the full difference between the largest and the smallest underfocus, θ
the direction of the largest, from x towards y. Unlike size and direction it is smooth where there is none, and errors
of it are as likely in every direction.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def astigmatism_vector(
    difference_um: Float[Tensor, " tilt"], angle_rad: Float[Tensor, " tilt"]
) -> Float[Tensor, "tilt 2"]:
    """Return the vector of an astigmatism that is given by size and direction; differentiable."""
    return torch.stack([difference_um * torch.cos(2 * angle_rad), difference_um * torch.sin(2 * angle_rad)], -1)


def astigmatism_size_and_angle(
    vector_um: Float[Tensor, "tilt 2"],
) -> tuple[Float[Tensor, " tilt"], Float[Tensor, " tilt"]]:
    """Return size (zero or more, µm) and direction (radians, from -π/2 to π/2) of a vector; for files only."""
    x, y = vector_um.unbind(-1)
    return torch.hypot(x, y), torch.atan2(y, x) / 2
