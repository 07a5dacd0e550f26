"""The coordinates in which one image of one particle sees any deformation whatever.

The likelihood knows six numbers for a particle in a tilt: the shift of its projection (x, y in Å), a rotation
in the frame of the image (x, y, z in radians, applied from the left) and its defocus (µm). Every
hyperparameter acts through them.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class View:
    """Where and how each particle is seen in each tilt.

    Attributes
    ----------
    xy_angstrom
        Position in the tilt image, Å from its corner.
    rotation
        Orientation of the particle in the frame of the image.
    defocus_um
        Defocus, positive under focus.
    """

    xy_angstrom: Float[Tensor, "particle tilt 2"]
    rotation: Float[Tensor, "particle tilt 3 3"]
    defocus_um: Float[Tensor, "particle tilt"]


def local_tangent(view: View, tangent: View) -> Float[Tensor, "particle tilt 6"]:
    """Express an infinitesimal change of a view in local coordinates.

    The rotation vector is read from the antisymmetric matrix ``dR Rᵀ``.
    """
    spin = tangent.rotation @ view.rotation.transpose(-1, -2)
    omega = torch.stack(
        [
            spin[..., 2, 1] - spin[..., 1, 2],
            spin[..., 0, 2] - spin[..., 2, 0],
            spin[..., 1, 0] - spin[..., 0, 1],
        ],
        -1,
    )
    return torch.cat([tangent.xy_angstrom, omega / 2, tangent.defocus_um[..., None]], -1)


def local_cotangent(view: View, gradient: Float[Tensor, "particle tilt 6"]) -> View:
    """Adjoint of :func:`local_tangent`: gradients with respect to the entries of a view."""
    g = gradient[..., 2:5] / 2
    zero = torch.zeros_like(g[..., 0])
    rows = [zero, -g[..., 2], g[..., 1], g[..., 2], zero, -g[..., 0], -g[..., 1], g[..., 0], zero]
    spin = torch.stack(rows, -1).reshape(*zero.shape, 3, 3)
    return View(gradient[..., :2], spin @ view.rotation, gradient[..., 5])
