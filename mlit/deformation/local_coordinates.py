"""The coordinates in which one image of one particle sees any deformation whatever.

The likelihood knows six numbers for a particle in a tilt: the shift of its projection (x, y in Å), a rotation
in the frame of the image (x, y, z in radians, applied from the left) and its defocus (µm). To them come the
aberrations of the tilt, which all its particles share. Every hyperparameter acts through these coordinates.
"""

from dataclasses import dataclass
from enum import Enum

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mlit.deformation.imaging import Imaging

VIEW_COORDINATES = 6  # shift, rotation and defocus, which each image has of its own


class Coordinate(Enum):
    """Groups of local coordinates by their place in the vector of all of them.

    Aberrations are :meth:`mlit.optics.ctf.Optics.even_coefficients` and ``odd_coefficients``, which are factors of
    powers of frequency, and the entries of the magnification matrix (xx, xy, yx, yy).
    """

    SHIFT = range(0, 2)
    ROTATION = range(2, 5)
    DEFOCUS = range(5, 6)
    ASTIGMATISM = range(6, 8)
    PHASE_SHIFT = range(8, 9)
    CS = range(9, 10)
    EVEN_2 = range(10, 13)
    EVEN_4 = range(13, 18)
    ODD_1 = range(18, 20)
    ODD_3 = range(20, 24)
    ODD_5 = range(24, 30)
    MAGNIFICATION = range(30, 34)


EVEN = range(Coordinate.ASTIGMATISM.value.start, Coordinate.EVEN_4.value.stop)
ODD = range(Coordinate.ODD_1.value.start, Coordinate.ODD_5.value.stop)


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
    aberrations
        The local coordinates from ``VIEW_COORDINATES`` on.
    """

    xy_angstrom: Float[Tensor, "particle tilt 2"]
    rotation: Float[Tensor, "particle tilt 3 3"]
    defocus_um: Float[Tensor, "particle tilt"]
    aberrations: Float[Tensor, "tilt aberration"]

    def of(self, particles: Int[Tensor, " some"]) -> "View":
        """Return the views of some particles."""
        return View(self.xy_angstrom[particles], self.rotation[particles], self.defocus_um[particles], self.aberrations)

    @property
    def magnification(self) -> Float[Tensor, "tilt 2 2"]:
        """Matrix on the Fourier coordinates of the images."""
        return self.aberrations[:, -4:].unflatten(-1, (2, 2))

    def frames(self, particle: Int[Tensor, " image"], tilt: Int[Tensor, " image"]) -> Float[Tensor, "image 3 3"]:
        """Rows that take the Fourier pixels of some images into the reference, magnification counted in.

        A pixel k of the image is seen at ``Rᵀ (M k)``: row i of the result is what the reference sees of axis i.
        """
        rotation = self.rotation[particle, tilt]
        flat = self.magnification[tilt].transpose(1, 2) @ rotation[:, :2]
        return torch.cat([flat, rotation[:, 2:]], 1)


def aberrations(imaging: Imaging) -> Float[Tensor, "tilt aberration"]:
    """Local coordinates of the tilts that follow from their optics; differentiable."""
    even, odd = imaging.optics.even_coefficients(), imaging.optics.odd_coefficients()
    magnification = imaging.geometry.magnification.flatten()
    return torch.cat([even, torch.cat([odd, magnification]).expand(len(even), -1)], -1)


def local_tangent(view: View, tangent: View) -> Float[Tensor, "particle tilt coordinate"]:
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
    common = tangent.aberrations.expand(len(omega), -1, -1)
    return torch.cat([tangent.xy_angstrom, omega / 2, tangent.defocus_um[..., None], common], -1)


def local_cotangent(view: View, gradient: Float[Tensor, "particle tilt coordinate"]) -> View:
    """Adjoint of :func:`local_tangent`: gradients with respect to the entries of a view."""
    g = gradient[..., 2:5] / 2
    zero = torch.zeros_like(g[..., 0])
    rows = [zero, -g[..., 2], g[..., 1], g[..., 2], zero, -g[..., 0], -g[..., 1], g[..., 0], zero]
    spin = torch.stack(rows, -1).reshape(*zero.shape, 3, 3)
    return View(gradient[..., :2], spin @ view.rotation, gradient[..., 5], gradient[..., VIEW_COORDINATES:].sum(0))
