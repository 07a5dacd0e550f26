"""Refinement moves nothing beyond its noise, and makes up nothing from noise."""

from dataclasses import dataclass

import pytest
import torch
from omegaconf import OmegaConf

from mlit.fourier.resize import crop_or_pad
from mlit.fourier.slices import ReferenceTable
from mlit.io.mrc import read_mrc
from mlit.io.star import read_star
from mlit.likelihood.image_batches import ImageBatches
from mlit.likelihood.matches import Matches
from mlit.likelihood.objective import SeriesObjective
from mlit.likelihood.premultiply import ImageRequest, premultiply
from mlit.training.assembly import load_projects, make_module
from mlit.training.data import TiltSeriesDataset

QUICK = ("schedule=quick", "model=coarse")
NO_ERRORS = {
    "deformation": {
        "shift_error_angstrom": 0.0,
        "stage_angle_error_deg": 0.0,
        "image_warp_error_angstrom": 0.0,
        "defocus_error_um": 0.0,
    },
    "picks": {"position_error_angstrom": 0.0, "rotation_error_deg": 0.0},
}
NOISE_ONLY = {"microscope": {"contrast": 0.0}}


@dataclass(frozen=True)
class Uncertainty:
    """Posterior standard deviations of what is seen in the images, root mean square over images."""

    position_angstrom: float
    orientation_deg: float
    defocus_nm: float


def posterior(project, output) -> Uncertainty:
    """Uncertainty that remains where the true map is known, from the curvature of the objective at the truth."""
    cfg = OmegaConf.load(output / ".hydra" / "config.yaml")
    read = load_projects(cfg)[0]
    module = make_module([read], cfg)
    own, pixel = read_mrc(output / "particle" / "map.mrc")
    truth = crop_or_pad(torch.from_numpy(read_mrc(project.root / "truth" / "map.mrc")[0]), len(own), 3)
    units = float((torch.from_numpy(own) * truth).sum() / truth.square().sum())
    table = ReferenceTable.from_maps(truth[None] * units, pixel)
    dataset = TiltSeriesDataset([read], project.diameter, 0)
    variances = []
    for index, name in enumerate(module.names):
        model, context, images = module.model(name), module.contexts[name], dataset[index].images
        model.activate(["poses", "image_warp", "stage_angles", "defocus"])
        with torch.no_grad():
            view = model()
        visible = context.visible(view, model.start.geometry.image_size_angstrom)
        box = len(own) * pixel
        cut = premultiply(
            images, model.start.optics, view.xy_angstrom, view.defocus_um, visible, ImageRequest(box, 16.5, True)
        )
        reference = torch.zeros(len(visible), dtype=torch.long)
        objective = SeriesObjective(
            model, Matches.of_one(ImageBatches.whole(cut), table, reference), context.amplitude_prior
        )
        objective.evaluate()
        variances.append(objective.posterior().local.diagonal(dim1=2, dim2=3)[visible].mean(0))
    mean = torch.stack(variances).mean(0)
    return Uncertainty(
        float(mean[:2].sum().sqrt()), float(mean[2:5].sum().sqrt().rad2deg()), float(mean[5].sqrt()) * 1e3
    )


def test_true_project_stays_true_within_its_posterior(make_project, refine):
    """References carry noise of their own, so the bound is half as much again as with the true map."""
    project = make_project(NO_ERRORS)
    run = refine(project, *QUICK)
    assert run.outcome.code == 0, run.outcome.stderr
    moved, width = project.refined(run.output), posterior(project, run.output)
    assert moved.position_rms_angstrom < 1.5 * width.position_angstrom
    assert moved.orientation_rms_deg < 1.5 * width.orientation_deg
    assert moved.defocus_rms_nm < 1.5 * width.defocus_nm
    assert width.position_angstrom < 1.5  # the bound says something: a usual start is off by five times as much
    assert width.orientation_deg < 1.5


def corrected(fsc_star):
    """Resolution in Å and corrected FSC of each shell."""
    table = next(iter(read_star(fsc_star).values())).astype(float)
    return (torch.tensor(table[column].to_list()) for column in ("wrpResolution", "wrpFSCCorrected"))


def averaged_beyond(fsc_star, resolution_angstrom):
    """Corrected FSC beyond a resolution, averaged over three neighbouring shells to allow for chance in one."""
    resolution, curve = corrected(fsc_star)
    return curve[resolution < resolution_angstrom].unfold(0, 3, 1).mean(1)


@pytest.fixture(scope="module")
def noise(make_project):
    return make_project(NOISE_ONLY)


FAR = "{resolution_angstrom: 20, blocks: [poses, image_warp, stage_angles]}"


@pytest.mark.parametrize("reference", ["none", "true", "of another molecule"])
def test_noise_gives_no_resolution(noise, make_project, refine, tmp_path, reference):
    """Five fits look to 20 Å, with references as fine as that, the network and a mask."""
    words = [f"schedule.iterations=[{', '.join([FAR] * 5)}]"]
    if reference != "none":
        molecule = noise if reference == "true" else make_project({"structure": {"seed": 6}})
        words += [molecule.half_maps_of_truth(tmp_path, lowpass=20.0), molecule.mask_of_truth(tmp_path)]
    run = refine(noise, "model=coarse", *words)
    assert run.outcome.code == 0, run.outcome.stderr
    files = ("fsc/particle/iteration_0.star", "particle/fsc.star")
    before, after = (averaged_beyond(run.output / path, 30.0) for path in files)
    assert after.max() < 0.143
    assert after.mean() < max(float(before.mean()), 0.0) + 0.02
    assert run.summary["species"]["particle"]["resolution_angstrom"] > 30


def test_network_makes_half_maps_agree_on_nothing_but_the_density(make_project, refine):
    """Images hold no detail finer than 16 Å, and are looked at to 10 Å."""
    project = make_project(
        {
            "structure": {"bead_spacing_angstrom": 16.0},
            "microscope": {"pixel_size_angstrom": 5.0, "width": 192, "height": 192},
            "sample": {"particles": 20},
        }
    )
    words = "model=coarse", f"schedule.iterations=[{', '.join([FAR.replace('20', 'null')] * 3)}]"
    run = refine(project, *words)
    assert run.outcome.code == 0, run.outcome.stderr
    assert run.summary["species"]["particle"]["denoiser"]["share_taken"] > 0.3  # else this test says nothing
    _, curve = corrected(run.output / "particle" / "fsc.star")
    true = project.map_correlation(run.output / "particle" / "map.mrc")[: len(curve)]
    promised = (2 * curve / (1 + curve)).clamp(min=0).sqrt()
    agreed, empty = curve > 0.143, true < 0.2
    assert (promised - true)[agreed].max() < 0.1
    assert (promised - true)[agreed].mean() < 0.02
    assert empty.sum() > 8
    assert curve[empty].mean() < 0.02


def test_shipped_schedule_fits_nothing_to_noise(noise, refine):
    run = refine(noise, *QUICK)
    assert run.outcome.code == 0, run.outcome.stderr
    assert run.outcome.stdout.count("half maps agree on nothing finer than") == 2
    start, refined = noise.start(), noise.refined(run.output)
    assert refined.position_rms_angstrom == pytest.approx(start.position_rms_angstrom, rel=0.1)
    assert averaged_beyond(run.output / "particle" / "fsc.star", 30.0).max() < 0.143
