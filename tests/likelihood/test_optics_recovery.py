"""Errors of the optics are found again in images that an explicit formula has made with them."""

import dataclasses

import pytest
import torch

from mlit.deformation.imaging import Imaging
from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.deformation.registry import make_blocks
from mlit.deformation.series_model import SeriesModel
from mlit.fourier.slices import ReferenceTable
from mlit.likelihood.image_batches import ImageBatches
from mlit.likelihood.objective import SeriesObjective, Tolerance
from mlit.likelihood.premultiply import premultiply
from mlit.likelihood.tilt_images import TiltImages
from mlit.optics.astigmatism import astigmatism_vector
from mlit.optim.levenberg_marquardt import Settings, maximise
from tests.brute_force import Blobs, flat_geometry, image_of, plain_optics, rotations

SIDE, PIXEL, TILTS, DETAIL, BOX = 360.0, 2.0, 3, 5.0, 72.0
OPTIONS = {
    "astigmatism": {"prior_um": 0.05},
    "phase_shift": {"series_prior_deg": 10.0, "tilt_prior_deg": 6.0},
    "spherical_aberration": {"prior_mm": 1.0},
    "odd_aberrations": {"orders": [1, 3, 5], "prior_deg": 20.0, "prior_resolution_angstrom": DETAIL},
    "even_aberrations": {"orders": [2, 4], "prior_deg": 20.0, "prior_resolution_angstrom": DETAIL},
    "magnification": {"prior_percent": 1.0},
}


def starting_imaging():
    """Optics with some known aberrations to start from, which no fit may lose."""
    optics = plain_optics(TILTS)
    known = torch.linspace(0.02, 0.06, TILTS, dtype=torch.float64)
    generator = torch.Generator().manual_seed(7)
    odd, even = torch.zeros(12, dtype=torch.float64), torch.zeros(8, dtype=torch.float64)
    odd[2:6] = 10 * torch.randn(4, generator=generator, dtype=torch.float64)
    even[[0, 2, 3, 7]] = 10 * torch.randn(4, generator=generator, dtype=torch.float64)
    optics = dataclasses.replace(
        optics, astigmatism_um=astigmatism_vector(known, 9 * known), zernike_odd_rad=odd, zernike_even_rad=even
    )
    magnification = torch.tensor([[1.005, 0.0], [0.002, 0.99]], dtype=torch.float64)
    return Imaging(dataclasses.replace(flat_geometry(TILTS, SIDE, 1.2), magnification=magnification), optics)


def images_of(imaging, blobs, place, rotation):
    """Tilt images with white noise of variance one."""
    geometry = imaging.geometry
    projection, turned = geometry.project(place), geometry.orient(rotation, place)
    images = []
    for tilt in range(TILTS):
        particles = [
            (blobs, turned[p, tilt], projection.xy_angstrom[p, tilt], float(projection.defocus_um[p, tilt]))
            for p in range(len(place))
        ]
        shape = (int(SIDE / PIXEL),) * 2
        images.append(image_of(particles, imaging.optics, tilt, shape, PIXEL, geometry.magnification))
    noise = torch.randn(TILTS, *shape, generator=torch.Generator().manual_seed(1))
    return TiltImages(torch.stack(images).float() + noise, PIXEL, torch.ones(TILTS, 48), torch.zeros(TILTS))


def objective_of(start, block, images, blobs, place, rotation):
    """The objective of a block alone; poses are held at the truth."""
    model = SeriesModel(start, Poses(place, rotation, PosePrior(1.0, 1.0)), [block])
    model.activate([block.name])
    with torch.no_grad():
        view = model()
    cut = premultiply(
        images,
        start.optics,
        view.xy_angstrom,
        view.defocus_um,
        torch.ones(len(place), TILTS, dtype=torch.bool),
        BOX,
        DETAIL,
        model.changes_ctf,
        coordinates=model.coordinates,
    )
    table = ReferenceTable.from_maps(blobs.volume(36, PIXEL)[None].float(), PIXEL, padding=3)
    amplitude, which = torch.ones(TILTS, dtype=torch.float64), torch.zeros(len(place), dtype=torch.long)
    strict = Tolerance(**{name: value / 20 for name, value in vars(Tolerance()).items() if name != "errors"})
    return SeriesObjective(model, ImageBatches.whole(cut), table, which, amplitude, tolerance=strict)


@pytest.mark.parametrize("name", OPTIONS)
def test_an_error_is_recovered(name):
    """To within a few of the errors that the curvature predicts, which are smaller than the prior."""
    start = starting_imaging()
    (block,) = make_blocks(start, {name: {"enabled": True} | OPTIONS[name]})
    generator = torch.Generator().manual_seed(3)
    expected = torch.randn(len(block.raw), generator=generator, dtype=torch.float64)
    blobs = Blobs.molecule(20.0, 1.6, count=15)
    blobs.weight *= 150
    place = torch.tensor([[90.0, 90, 40], [265, 95, 50], [100, 270, 48], [260, 265, 35]]).double()
    rotation = rotations(4, seed=3)
    images = images_of(block.deform(start, expected), blobs, place, rotation)
    objective = objective_of(start, block, images, blobs, place, rotation)
    outcome = maximise(objective, Settings(max_passes=8))
    error, predicted = block.raw.detach() - expected, objective.posterior().hyper_error
    assert outcome.status == "converged"
    assert float(predicted.square().mean().sqrt()) < 0.5
    assert float(error.norm()) < 0.65 * float(expected.norm())
    assert float((error / predicted).square().mean().sqrt()) < 1.8
