"""What a block has done to the images is found again from them, from a start that knows nothing of it."""

from collections.abc import Callable

import pytest
import torch

from mlit.deformation.imaging import Imaging
from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.series_model import SeriesModel
from mlit.deformation.stage_angles import StageAngles
from mlit.deformation.trajectories import make_poses
from mlit.deformation.volume_warp import VolumeWarp
from mlit.fourier.slices import ReferenceTable
from mlit.geometry.rotations import rotvec_from_matrix
from mlit.geometry.trajectory import normalised_dose
from mlit.likelihood.image_batches import ImageBatches
from mlit.likelihood.objective import SeriesObjective
from mlit.optim.solvers import GaussNewton
from tests.brute_force import flat_geometry, imaging_of
from tests.test_developer_example import PARTICLES, TILTS, ideal_images

SIDE = 600.0
BLOCKS: dict[str, Callable[[Imaging], VolumeWarp | StageAngles]] = {
    "volume_warp": lambda imaging: VolumeWarp(imaging, (2, 2, 1, 3), motion_prior_angstrom=6.0, smoothness=0.5),
    "stage_angles": lambda imaging: StageAngles(imaging, 1.0, physical=True),
}


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def reference() -> ReferenceTable:
    axis = torch.arange(20) - 10.0
    blobs = [torch.exp(-((axis - c) ** 2) / 6) for c in (-4.0, 1.0, 3.0)]
    places = ((0, 1, 2), (2, 0, 1), (1, 2, 2))
    volume = torch.stack([torch.einsum("z,y,x->zyx", blobs[i], blobs[j], blobs[k]) for i, j, k in places]).sum(0)
    return ReferenceTable.from_maps(volume[None], 8.0)


def make_model(names: list[str], samples: int, prior: PosePrior) -> SeriesModel:
    imaging = imaging_of(flat_geometry(TILTS, SIDE, defocus=3.0))
    size = imaging.geometry.volume_size_angstrom
    place = size * (0.5 + 0.2 * normal(2, PARTICLES, 1, 3)).clamp(0.1, 0.9)
    poses = make_poses(place, normal(3, PARTICLES, 1, 3), normalised_dose(imaging.geometry.dose), prior, samples)
    return SeriesModel(imaging, poses, [BLOCKS[name](imaging) for name in names])


def drawn_from_prior(model: SeriesModel) -> None:
    """Set the active parameters to a typical case, in place."""
    with torch.no_grad():
        if model.poses.raw.requires_grad:
            model.poses.raw.copy_(normal(4, *model.poses.raw.shape))
        for block in model.active_blocks:
            root = torch.linalg.cholesky(torch.linalg.inv(block.prior.precision))
            groups = block.prior.groups
            block.raw[groups] = normal(5, *groups.shape) @ root.T


def errors(model: SeriesModel, truth) -> tuple[float, float]:
    """Root mean square error of positions (Å) and orientations (degrees) in the images."""
    with torch.no_grad():
        view = model()
    shift = (view.xy_angstrom - truth.xy_angstrom).norm(dim=-1)
    turn = rotvec_from_matrix(view.rotation @ truth.rotation.mT).norm(dim=-1).rad2deg()
    return float(shift.square().mean().sqrt()), float(turn.square().mean().sqrt())


@pytest.mark.parametrize(
    ("active", "samples", "prior"),
    [
        ("volume_warp", 1, PosePrior(3.0, 3.0)),
        ("stage_angles", 1, PosePrior(3.0, 3.0)),
        ("poses", 1, PosePrior([4.0, 4.0, 0.5], [1.0, 1.0, 8.0])),
        ("poses", 2, PosePrior(3.0, 3.0, 6.0, 5.0)),
        ("poses", 3, PosePrior(3.0, 3.0, 6.0, 5.0)),
    ],
)
def test_what_the_images_show_is_found(active, samples, prior):
    """Noise-free images of a known reference: the priors are all that pulls."""
    model = make_model([] if active == "poses" else [active], samples, prior)
    model.activate([active])
    drawn_from_prior(model)
    with torch.no_grad():
        truth = model()
        for parameter in model.parameters():
            parameter.zero_()
    images = ideal_images(truth, reference(), signal_power=3000.0)
    group, amplitude = torch.zeros(PARTICLES, dtype=torch.long), torch.ones(TILTS, dtype=torch.float64)
    before = errors(model, truth)
    outcome = GaussNewton(passes=12).solve(
        SeriesObjective(model, ImageBatches.whole(images), reference(), group, amplitude)
    )
    after = errors(model, truth)
    assert outcome.end > outcome.start
    assert after[0] < 0.1 * before[0]
    assert after[1] < max(0.1 * before[1], 0.2)
