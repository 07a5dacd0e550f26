"""What the strength of a signal in a ring is made of: derivatives by the parameters of weights."""

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.likelihood.signal_weights import double_angle
from mlit.likelihood.weights_prior import BFACTOR_UNIT


def padded(values: Float[Tensor, "t *rest"], tilts: int) -> Float[Tensor, "tilt *rest"]:
    """Zeros for tilts that a series does not have."""
    return torch.cat([values.double(), values.new_zeros(tilts - len(values), *values.shape[1:]).double()])


def signal_basis(centres: Float[Tensor, "bin 2"], anisotropic: bool) -> Float[Tensor, "bin basis"]:
    """Differentiate the logarithm of the signal by what makes it up: amplitude, B factor, and its anisotropy."""
    square = centres.square().sum(-1, keepdim=True)
    decay = [square, double_angle(centres)] if anisotropic else [square]
    return torch.cat([torch.ones_like(square), *(BFACTOR_UNIT / 4 * part for part in decay)], 1)


def item_design(tilts: int, basis: int, per_series: bool, per_tilt: bool) -> Float[Tensor, "tilt basis a"]:
    """Differentiate the strength of the tilts by the parameters of their series; zero for those not wanted."""
    one = torch.eye(basis, dtype=torch.float64)
    series = one.expand(tilts, -1, -1) * per_series
    own = torch.einsum("tu,ij->tiuj", torch.eye(tilts, dtype=torch.float64), one).flatten(2) * per_tilt
    return torch.cat([series, own], 2)


def shared_design(
    functions: Float[Tensor, "series tilt function"], places: Float[Tensor, "place node"], basis: int
) -> Float[Tensor, "series tilt place basis shared"]:
    """Differentiate the strength of the tilts by curves and places."""
    two = torch.eye(basis, 2, dtype=torch.float64)
    curves = torch.einsum("stf,ij->stifj", functions, two).flatten(3)[:, :, None].expand(-1, -1, len(places), -1, -1)
    place = torch.einsum("qp,ij->qipj", places, two).flatten(2).expand(*functions.shape[:2], -1, -1, -1)
    return torch.cat([curves, place], 4)
