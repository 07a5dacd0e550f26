"""Slow and plain reference computations, against which the fast ones are tested."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mlit.deformation.imaging import Imaging
from mlit.fourier.centred import centred_rfftn
from mlit.fourier.insertion import FourierSums
from mlit.fourier.trilinear import gridding_profile
from mlit.geometry.rotations import matrix_from_euler, matrix_from_rotvec
from mlit.geometry.series_geometry import SeriesGeometry
from mlit.optics.ctf import Optics


def rotations(count: int, seed: int = 0) -> Float[Tensor, "image 3 3"]:
    """Rotations all over the rotation group."""
    axis = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return matrix_from_rotvec(axis / axis.norm(dim=1, keepdim=True) * torch.linspace(0.4, 3.0, count)[:, None])


def rotations_everywhere(count: int, seed: int = 0) -> Float[Tensor, "image 3 3"]:
    """Rotations drawn evenly."""
    uniform = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    angles = [2 * torch.pi * uniform[:, 0], torch.acos(2 * uniform[:, 1] - 1), 2 * torch.pi * uniform[:, 2]]
    return matrix_from_euler(torch.stack(angles, -1))


def plane_coordinates(n: int, pixel_size: float, dims: int) -> Float[Tensor, "point axis"]:
    """Coordinates (x first) of the points of a box in Å from index n // 2, flattened."""
    axis = (torch.arange(n, dtype=torch.float64) - n // 2) * pixel_size
    grid = torch.meshgrid(*[axis] * dims, indexing="ij")
    return torch.stack([part.flatten() for part in reversed(grid)], -1)


def direct_transform(
    array: Float[Tensor, "..."], pixel_size: float, frequency: Float[Tensor, "*points axis"]
) -> Complex[Tensor, "*points"]:
    """Fourier integral of a square or cube at any frequencies, as an explicit sum in float64."""
    points = plane_coordinates(array.shape[-1], pixel_size, array.dim())
    phase = -2 * torch.pi * (frequency.double() @ points.T)
    values = torch.polar(torch.ones_like(phase), phase) @ array.double().flatten().to(torch.complex128)
    return values * pixel_size ** array.dim()


def ball_of_noise(n: int, radius: float, seed: int = 0) -> Float[Tensor, "z y x"]:
    """Random voxels inside a ball of a radius in voxels: the hardest map to interpolate."""
    noise = torch.randn(n, n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return noise * (plane_coordinates(n, 1.0, 3).norm(dim=1).reshape(n, n, n) < radius)


class Blobs:
    """A map of Gaussian blobs whose transform and projections are known in closed form.

    ``centre`` in Å from the map's centre, ``weight`` in map units times Å³.
    """

    def __init__(self, centre: Tensor, weight: Tensor, sigma: float) -> None:
        self.centre, self.weight, self.sigma = centre.double(), weight.double(), sigma

    @classmethod
    def molecule(cls, radius: float, sigma: float, count: int = 20, seed: int = 1) -> "Blobs":
        """Blobs of unequal weight, spread over a ball."""
        generator = torch.Generator().manual_seed(seed)
        centre = torch.randn(count, 3, generator=generator, dtype=torch.float64)
        length = radius * torch.rand(count, 1, generator=generator, dtype=torch.float64) ** (1 / 3)
        weight = 0.5 + torch.rand(count, generator=generator, dtype=torch.float64)
        return cls(centre / centre.norm(dim=1, keepdim=True) * length, weight, sigma)

    def without_mean(self) -> "Blobs":
        """Blobs with as much density below zero as above."""
        return Blobs(self.centre, self.weight - self.weight.mean(), self.sigma)

    def volume(self, n: int, pixel_size: float) -> Float[Tensor, "z y x"]:
        """Density sampled on a grid with the centre at index n // 2."""
        return self._render(self.centre, n, pixel_size)

    def projection(
        self, rotation: Tensor, n: int, pixel_size: float, shift: Tensor | None = None
    ) -> Float[Tensor, "y x"]:
        """Integral of the rotated density along z."""
        centre = (self.centre @ rotation.T)[:, :2]
        return self._render(centre if shift is None else centre + shift, n, pixel_size)

    def _render(self, centre: Tensor, n: int, pixel_size: float) -> Tensor:
        axis = (torch.arange(n, dtype=torch.float64) - n // 2) * pixel_size
        norm = (2 * torch.pi * self.sigma**2) ** -0.5
        profile = torch.exp(-0.5 * ((axis - centre.T[:, :, None]) / self.sigma).square()) * norm
        if len(profile) == 2:
            return torch.einsum("b,bx,by->yx", self.weight, *profile)
        return torch.einsum("b,bx,by,bz->zyx", self.weight, *profile)

    def transform(self, frequency: Float[Tensor, "*points 3"]) -> Complex[Tensor, "*points"]:
        """Fourier integral of the density."""
        fall = torch.exp(-2 * (torch.pi * self.sigma) ** 2 * frequency.square().sum(-1))
        phase = -2 * torch.pi * (frequency @ self.centre.T)
        return (torch.polar(torch.ones_like(phase), phase) @ self.weight.to(torch.complex128)) * fall

    def turned(self, operators: Float[Tensor, "operator 3 3"]) -> "Blobs":
        """Blobs with the symmetry of a point group."""
        copies = torch.einsum("oij,bj->obi", operators, self.centre).reshape(-1, 3)
        return Blobs(copies, self.weight.repeat(len(operators)) / len(operators), self.sigma)


def sums_of_map(volume: Float[Tensor, "z y x"], pixel_size: float) -> FourierSums:
    """Sums from which a map follows exactly, as if all its views had been inserted."""
    n = volume.shape[-1]
    profile = gridding_profile(n)
    spectrum = centred_rfftn(volume.float() * profile[:, None, None] * profile[:, None] * profile, 3) * pixel_size**3
    channels = torch.stack([spectrum.real, spectrum.imag, torch.ones_like(spectrum.real)], -1)
    channels[:, :, 0] /= 2  # the plane kx = 0 gets its Friedel mates added
    rows = torch.fft.fftshift(channels, dim=(0, 1)).reshape(1, -1, 3)
    return FourierSums(rows, n, pixel_size, 2 * pixel_size)


def flat_geometry(tilts: int, side: float, defocus: float = 1.0) -> SeriesGeometry:
    """A plain tilt series of a thin square volume."""
    angle = torch.linspace(-0.7, 0.7, tilts, dtype=torch.float64)
    return SeriesGeometry(
        tilt_angle_rad=angle,
        axis_angle_rad=torch.full_like(angle, 1.5),
        axis_offset_angstrom=torch.zeros(tilts, 2, dtype=torch.float64),
        dose=torch.linspace(2, 50, tilts, dtype=torch.float64),
        defocus_um=torch.full_like(angle, defocus),
        volume_size_angstrom=torch.tensor([side, side, side / 4], dtype=torch.float64),
        image_size_angstrom=torch.tensor([side, side], dtype=torch.float64),
    )


def plain_optics(tilts: int) -> Optics:
    """300 kV without astigmatism or phase plate."""
    zero = torch.zeros(tilts, dtype=torch.float64)
    return Optics(300.0, 2.7, 0.07, zero[:, None].expand(-1, 2), zero)


def imaging_of(geometry: SeriesGeometry) -> Imaging:
    """A geometry with plain optics."""
    return Imaging(geometry, plain_optics(geometry.tilts))


def no_aberrations(tilts: int) -> Float[Tensor, "tilt aberration"]:
    """Aberrations of a view where there are none."""
    none = torch.zeros(tilts, 28, dtype=torch.float64)
    none[:, [-4, -1]] = 1
    return none
