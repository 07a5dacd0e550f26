"""Tilt images of a molecule known in closed form, and the objective of a fit to them."""

import dataclasses

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mlit.deformation.imaging import Imaging
from mlit.deformation.local_coordinates import View
from mlit.deformation.series_model import SeriesModel
from mlit.fourier.slices import ReferenceTable
from mlit.likelihood.image_batches import ImageBatches
from mlit.likelihood.matches import Matches
from mlit.likelihood.objective import SeriesObjective
from mlit.likelihood.premultiply import ImageRequest, premultiply
from mlit.likelihood.tilt_images import TiltImages
from mlit.optics.astigmatism import astigmatism_vector
from mlit.optics.ctf import Optics
from tests.brute_force import Blobs, flat_geometry, plain_optics


@dataclasses.dataclass(frozen=True)
class Setting:
    """A molecule, and how images of it are made and looked at.

    Images have white noise of variance one, so that ``blobs`` alone set the signal-to-noise ratio.

    Errors are those that noise makes only where approximations of the likelihood make smaller ones. That takes a box
    twice as wide as the molecule, for the power of the reference, and a molecule with as much density below zero as
    above, for the mean of the box, which is left out: see :meth:`Blobs.without_mean`.
    """

    blobs: Blobs
    table: ReferenceTable
    pixel_angstrom: float
    detail_angstrom: float
    box_angstrom: float

    @classmethod
    def of(
        cls, blobs: Blobs, pixel_angstrom: float, detail_angstrom: float, box_angstrom: float, padding: int = 2
    ) -> "Setting":
        """Sample the reference in the pixels of the images."""
        volume = blobs.volume(round(box_angstrom / pixel_angstrom), pixel_angstrom)[None].float()
        table = ReferenceTable.from_maps(volume, pixel_angstrom, padding=padding)
        return cls(blobs, table, pixel_angstrom, detail_angstrom, box_angstrom)

    def images(self, model: SeriesModel, noise_seed: int) -> TiltImages:
        """Tilt images of a model as it is now."""
        with torch.no_grad():
            view, imaging = model(), model.imaging()
        width, height = (imaging.geometry.image_size_angstrom / self.pixel_angstrom).round().int().tolist()
        clean = clean_images(view, imaging.optics, self.blobs, (height, width), self.pixel_angstrom)
        return with_noise(clean, self.pixel_angstrom, noise_seed)

    def objective(
        self, model: SeriesModel, images: TiltImages, amplitude: Float[Tensor, " tilt"] | None = None
    ) -> SeriesObjective:
        """Objective of the active parameters of a model, from where it is now; all amplitudes are one by default."""
        with torch.no_grad():
            view, imaging = model(), model.imaging()
        cut = premultiply(
            images,
            imaging.optics,
            view.xy_angstrom,
            view.defocus_um,
            torch.ones_like(view.defocus_um, dtype=torch.bool),
            ImageRequest(self.box_angstrom, self.detail_angstrom, model.changes_ctf, model.coordinates),
        )
        particles, tilts = view.defocus_um.shape
        which = torch.zeros(particles, dtype=torch.long)
        amplitude = torch.ones(tilts, dtype=torch.float64) if amplitude is None else amplitude
        return SeriesObjective(model, Matches.of_one(ImageBatches.whole(cut), self.table, which), amplitude)


def with_noise(clean: Float[Tensor, "tilt y x"], pixel_angstrom: float, seed: int) -> TiltImages:
    """Add white noise of variance one."""
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    return TiltImages(clean.float() + noise, pixel_angstrom, torch.ones(len(clean), 48), torch.zeros(len(clean)))


def clean_images(
    view: View, optics: Optics, blobs: Blobs, shape: tuple[int, int], pixel_angstrom: float
) -> Float[Tensor, "tilt y x"]:
    """Noise-free tilt images; what leaves an image at one edge comes back at the other.

    The transform of a Gaussian blob is a wave along x times a wave along y, times a fall that all blobs share.
    """
    ky = torch.fft.fftfreq(shape[0], pixel_angstrom, dtype=torch.float64)
    kx = torch.fft.rfftfreq(shape[1], pixel_angstrom, dtype=torch.float64)
    plane = torch.stack(torch.meshgrid(kx, ky, indexing="xy"), -1)
    static, slope, odd = optics.static_phase(plane), optics.defocus_slope(plane), optics.odd_phase(plane)
    images = []
    for tilt, magnification in enumerate(view.magnification):
        fall = torch.exp(-2 * (torch.pi * blobs.sigma) ** 2 * (plane @ magnification.T).square().sum(-1))
        flat = blobs.centre @ view.rotation[:, tilt, :2].transpose(1, 2) @ magnification
        x, y = (flat + view.xy_angstrom[:, tilt, None]).unbind(-1)
        molecules = torch.einsum("b,pby,pbx->pyx", blobs.weight + 0j, _waves(y, ky), _waves(x, kx))
        gamma = static[tilt] + view.defocus_um[:, tilt, None, None] * slope
        total = (molecules * -torch.sin(gamma)).sum(0) * fall * torch.polar(torch.ones_like(odd), -odd)
        images.append(torch.fft.irfft2(total, s=shape) / pixel_angstrom**2)
    return torch.stack(images)


def _waves(place: Float[Tensor, "*place"], frequency: Float[Tensor, " k"]) -> Complex[Tensor, "*place k"]:
    return torch.exp(-2j * torch.pi * place[..., None] * frequency)


def aberrated_imaging(tilts: int, side_angstrom: float) -> Imaging:
    """Optics with some known aberrations to start from, which no fit may lose; tilts are taken from 0 outwards."""
    known = torch.linspace(0.02, 0.06, tilts, dtype=torch.float64)
    generator = torch.Generator().manual_seed(7)
    odd, even = torch.zeros(12, dtype=torch.float64), torch.zeros(8, dtype=torch.float64)
    odd[2:6] = 10 * torch.randn(4, generator=generator, dtype=torch.float64)
    even[[0, 2, 3, 7]] = 10 * torch.randn(4, generator=generator, dtype=torch.float64)
    optics = dataclasses.replace(
        plain_optics(tilts),
        astigmatism_um=astigmatism_vector(known, 9 * known),
        zernike_odd_rad=odd,
        zernike_even_rad=even,
    )
    geometry = flat_geometry(tilts, side_angstrom, 1.2)
    turn = geometry.tilt_angle_rad.abs().argsort(stable=True).argsort()
    magnification = torch.tensor([[1.005, 0.0], [0.002, 0.99]], dtype=torch.float64)
    return Imaging(dataclasses.replace(geometry, dose=geometry.dose[turn], magnification=magnification), optics)


@torch.no_grad()
def draw_from_prior(model: SeriesModel, seed: int) -> None:
    """Set the active parameters to a typical case, in place."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    if model.poses.raw.requires_grad:
        model.poses.raw.copy_(normal(*model.poses.raw.shape))
    for block in model.active_blocks:
        groups, covariance = block.prior.groups, torch.linalg.inv(block.prior.precision)
        block.raw[groups] = normal(*groups.shape) @ torch.linalg.cholesky(covariance).T


@torch.no_grad()
def reset(model: SeriesModel) -> None:
    """Go back to the start of all parameters, in place."""
    for parameter in model.parameters():
        parameter.zero_()
