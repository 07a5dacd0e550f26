"""The block in docs/developer.md is a whole block: it differentiates, and it can be refined."""

import re
from pathlib import Path

import pytest
import torch

from mlit.deformation.block import Block
from mlit.deformation.local_coordinates import View, local_tangent
from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.deformation.series_model import SeriesModel
from mlit.fourier.pixels import FourierPixels
from mlit.fourier.slices import ReferenceTable, slices
from mlit.geometry.rotations import matrix_from_rotvec
from mlit.geometry.series_geometry import SeriesGeometry
from mlit.likelihood.image_batches import ImageBatches
from mlit.likelihood.matches import Matches
from mlit.likelihood.objective import SeriesObjective
from mlit.likelihood.particle_images import ParticleImages
from mlit.optim.solvers import GaussNewton
from tests.brute_force import imaging_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "developer.md"
PARTICLES, TILTS, MOST_LINES = 6, 5, 40


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def source() -> str:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1, "the page shows one block"
    return blocks[0]


@pytest.fixture
def model(source) -> SeriesModel:
    names: dict[str, type[Block]] = {}
    exec(compile(source, str(PAGE), "exec"), names)  # the example on the page is ours
    size = torch.tensor([600.0, 500.0, 200.0], dtype=torch.float64)
    geometry = SeriesGeometry(
        tilt_angle_rad=torch.linspace(-0.9, 0.9, TILTS, dtype=torch.float64),
        axis_angle_rad=1.4 + 0.01 * normal(0, TILTS),
        axis_offset_angstrom=10 * normal(1, TILTS, 2),
        dose=torch.arange(TILTS, dtype=torch.float64),
        defocus_um=torch.full((TILTS,), 3.0, dtype=torch.float64),
        volume_size_angstrom=size,
        image_size_angstrom=size[:2],
        level_angle_x_rad=torch.tensor(0.03, dtype=torch.float64),
        level_angle_y_rad=torch.tensor(-0.02, dtype=torch.float64),
    )
    position = size * (0.5 + 0.15 * normal(2, PARTICLES, 3)).clamp(0.1, 0.9)
    poses = Poses(position, matrix_from_rotvec(normal(3, PARTICLES, 3)), PosePrior(10.0, 10.0))
    return SeriesModel(imaging_of(geometry), poses, [names["LevelAngles"](imaging_of(geometry), prior_deg=2.0)])


def test_the_example_is_short_and_well_formed(source):
    assert len(source.splitlines()) < MOST_LINES
    assert max(map(len, source.splitlines())) <= 110


def test_zero_is_the_start(model):
    assert torch.equal(model.imaging().geometry.level_angle_x_rad, model.start.geometry.level_angle_x_rad)
    assert torch.equal(model.imaging().geometry.level_angle_y_rad, model.start.geometry.level_angle_y_rad)


def test_gradient(model):
    def everything(poses, hyper):
        view = model.view_at(poses, hyper)
        return view.xy_angstrom, view.rotation, view.defocus_um, view.aberrations

    model.activate(["poses", "level_angles"])
    inputs = (0.1 * normal(4, PARTICLES, 6), normal(5, 2))
    assert torch.autograd.gradcheck(everything, [value.requires_grad_() for value in inputs], fast_mode=True)


def test_jacobian_is_the_finite_difference(model):
    model.activate(["poses", "level_angles"])
    with torch.no_grad():
        model.blocks["level_angles"].raw.copy_(torch.tensor([0.7, -0.4]))
    jacobians, poses, hyper = model.jacobians(), model.poses.raw.detach(), model.hyper.detach()
    assert jacobians.hyper.shape == (PARTICLES, TILTS, 6, 2)
    here, step = model.view_at(poses, hyper), 1e-5
    for column in range(2):
        change = step * torch.eye(2, dtype=torch.float64)[column]
        above, below = model.view_at(poses, hyper + change), model.view_at(poses, hyper - change)
        slope = View(
            (above.xy_angstrom - below.xy_angstrom) / (2 * step),
            (above.rotation - below.rotation) / (2 * step),
            (above.defocus_um - below.defocus_um) / (2 * step),
            above.aberrations - below.aberrations,
        )
        for tilt in range(TILTS):
            assert jacobians.columns[tilt, column] == column
        torch.testing.assert_close(
            jacobians.hyper[..., column], local_tangent(here, slope)[..., :6], rtol=1e-6, atol=1e-8
        )


def ideal_images(view: View, table: ReferenceTable, signal_power: float) -> ParticleImages:
    """Images without noise or CTF of a reference at a view, cut at the places of that view."""
    pixels = FourierPixels.inside(20, 8.0, 24.0)
    which = torch.zeros(PARTICLES * TILTS, dtype=torch.long)
    values = slices(table, which, view.rotation.reshape(-1, 3, 3), pixels)[:, :, 0]
    weight = signal_power * pixels.area_square_angstrom / values.square().sum((1, 2)).mean()
    data = torch.complex(values[:, 0], values[:, 1]).reshape(PARTICLES, TILTS, -1) * weight
    flat = torch.ones(TILTS, pixels.count)
    return ParticleImages(
        pixels=pixels,
        data=data,
        quadrature=data[:, :0],
        power=2 * weight * flat,
        power_cos=0 * flat,
        power_sin=0 * flat,
        slope=torch.zeros(pixels.count),
        xy_angstrom=view.xy_angstrom,
        defocus_um=view.defocus_um,
        tilt_defocus_um=view.defocus_um.mean(0),
        valid=torch.ones(PARTICLES, TILTS, dtype=torch.bool),
    )


def test_it_can_be_refined(model):
    axis = torch.arange(20) - 10.0
    blobs = [torch.exp(-((axis - c) ** 2) / 6) for c in (-4.0, 1.0, 3.0)]
    volume = sum(
        torch.einsum("z,y,x->zyx", blobs[i], blobs[j], blobs[k]) for i, j, k in ((0, 1, 2), (2, 0, 1), (1, 2, 2))
    )
    table = ReferenceTable.from_maps(volume[None], 8.0)
    truth = torch.tensor([0.5, -0.8], dtype=torch.float64)
    model.activate(["level_angles"])
    with torch.no_grad():
        images = ideal_images(model.view_at(model.poses.raw, truth), table, signal_power=300.0)
    objective = SeriesObjective(
        model,
        Matches.of_one(ImageBatches.whole(images), table, torch.zeros(PARTICLES, dtype=torch.long)),
        torch.ones(TILTS, dtype=torch.float64),
    )
    outcome = GaussNewton(passes=8).solve(objective)
    assert outcome.status == "converged"
    assert outcome.end > outcome.start
    torch.testing.assert_close(model.blocks["level_angles"].raw.detach(), truth, rtol=0, atol=0.02)
    error = model.blocks["level_angles"].physical() - 2.0 * truth
    assert error.abs().max() < 0.04  # degrees
