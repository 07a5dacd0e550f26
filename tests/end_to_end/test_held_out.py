"""Images that a fit has not seen: what the closed form says of them, and what they say of a model that is too fine."""

import copy
import dataclasses
import functools
from dataclasses import dataclass

import pytest
import torch
from jaxtyping import Bool, Float
from omegaconf import OmegaConf
from torch import Tensor

from mlit.fourier.resize import crop_or_pad
from mlit.fourier.slices import ReferenceTable
from mlit.io.mrc import read_mrc
from mlit.likelihood.premultiply import ImageRequest, premultiply
from mlit.likelihood.statistics import local_statistics
from mlit.optim.solvers import GaussNewton
from mlit.training.assembly import load_projects, make_module
from mlit.training.data import TiltSeriesDataset
from mlit.training.series_step import SeriesContext, Target, fit

MANY = {
    "series": 1,
    "microscope": {"width": 192, "height": 192, "contrast": 0.3},
    "sample": {"particles": 40},
}
COARSEST, BEST, FINE = ("model.image_warp.grid=[2,2]",), (), ("model.image_warp.grid=[12,12]",)
BLOCKS = ["poses", "image_warp", "stage_angles", "defocus"]
SAME = "{{resolution_angstrom: null, learn_priors: false, blocks: [{}]}}".format(", ".join(BLOCKS))
FREE = (
    *FINE,
    "model.image_warp.shift_prior_angstrom=1000",
    "model.image_warp.warp_prior_angstrom=1000",
    "model.image_warp.smoothness=0.01",
    f"schedule.iterations=[{', '.join([SAME] * 3)}]",
)
"""No prior to speak of: every node by itself and free to go anywhere."""
COARSE_DETAIL, DETAIL = 25.0, 18.0  # Å, of two fits one after the other
HIDDEN = 0.1
SHELLS = slice(9, 21)  # 40 Å to Nyquist


@dataclass(frozen=True)
class Hiding(SeriesContext):
    """A series of which some images are kept from the fit."""

    shown: Tensor = dataclasses.field(default_factory=lambda: torch.ones(1, 1, dtype=torch.bool))

    def visible(self, view, image_size_angstrom):
        return super().visible(view, image_size_angstrom) & self.shown


@dataclass(frozen=True)
class Predictions:
    """Log-likelihood of the hidden images, in nats.

    Attributes
    ----------
    start
        At the starting metadata.
    refit
        After a fit that has not seen them.
    closed_form
        As a fit that has seen all images says of each.
    fitted
        After that fit.
    """

    start: Float[Tensor, " image"]
    refit: Float[Tensor, " image"]
    closed_form: Float[Tensor, " image"]
    fitted: Float[Tensor, " image"]

    @property
    def gain(self) -> float:
        """What a fit of the others tells about the hidden images."""
        return float((self.refit - self.start).sum())


class Bench:
    """A run's model of a series, to be fitted to the true map from the starting metadata."""

    def __init__(self, project, output):
        cfg = OmegaConf.load(output / ".hydra" / "config.yaml")
        read = load_projects(cfg)[0]
        self.module = make_module([read], cfg)
        (self.name,) = self.module.names
        self.images = TiltSeriesDataset([read], project.diameter, 0)[0].images
        self.learn = all(i.learn_priors for i in self.module.schedule.iterations[1:])
        own, pixel = read_mrc(output / "particle" / "map.mrc")
        truth = crop_or_pad(torch.from_numpy(read_mrc(project.root / "truth" / "map.mrc")[0]), len(own), 3)
        units = float((torch.from_numpy(own) * truth).sum() / truth.square().sum())
        self.box, self.table = len(own) * pixel, ReferenceTable.from_maps(truth[None] * units, pixel)
        given = self.module.contexts[self.name]
        (members,) = given.members
        self.members = dataclasses.replace(members, group=torch.zeros_like(members.group))
        self.context = dataclasses.replace(given, members=(self.members,))

    def fitted(self, shown: Bool[Tensor, "particle tilt"]):
        """Fit a fresh model to some images."""
        model = copy.deepcopy(self.module.model(self.name))
        model.activate(BLOCKS)
        values = {field.name: getattr(self.context, field.name) for field in dataclasses.fields(self.context)}
        context = Hiding(**values, shown=shown)
        step = functools.partial(fit, model, self.images, context)
        step([Target(self.table, self.box, COARSE_DETAIL)], GaussNewton(4))
        return model, step([Target(self.table, self.box, DETAIL)], GaussNewton(6), self.learn)

    def log_likelihood(self, model, amplitude) -> Float[Tensor, "particle tilt"]:
        """Of all images at the present parameters of a model."""
        with torch.no_grad():
            view, imaging = model(), model.imaging()
        seen = self.context.visible(view, imaging.geometry.image_size_angstrom)
        place = view.xy_angstrom, view.defocus_um
        cut = premultiply(self.images, imaging.optics, *place, seen, ImageRequest(self.box, DETAIL))
        return local_statistics(cut, view, self.table, self.members.group).log_likelihood(amplitude)

    def predict(self) -> Predictions:
        """Hide a share of the images."""
        size = len(self.members.group), len(self.context.use_tilt)
        hidden = torch.rand(size, generator=torch.Generator().manual_seed(4)) < HIDDEN
        model, full = self.fitted(torch.ones_like(hidden))
        fitted = self.log_likelihood(model, full.amplitude)
        model, part = self.fitted(~hidden)
        assert not bool((part.seen & hidden).any())
        start, refit = (self.log_likelihood(m, part.amplitude) for m in (self.module.model(self.name), model))
        assert full.posterior is not None
        which = hidden & full.seen
        return Predictions(*(values[which] for values in (start, refit, full.posterior.held_out, fitted)))


@dataclass(frozen=True)
class Judged:
    """What a model has come to."""

    predictions: Predictions
    map_correlation: float


@pytest.fixture(scope="module")
def judged(make_project, refine):
    """All models on the same project, by name."""
    project, found = make_project(MANY), {}
    for name, words in {"coarsest": COARSEST, "best": BEST, "fine": FINE, "free": FREE}.items():
        run = refine(project, *words)
        assert run.outcome.code == 0, run.outcome.stderr
        curve = project.map_correlation(run.output / "particle" / "map.mrc")
        found[name] = Judged(Bench(project, run.output).predict(), float(curve[SHELLS].mean()))
    return found


@pytest.mark.parametrize("name", ["coarsest", "best", "fine"])
def test_closed_form_is_what_a_fit_without_the_images_says(judged, name):
    """It leaves out one image at a time, the fit a tenth of all, so the fit knows a little less."""
    found = judged[name].predictions
    refit, closed_form, fitted = found.refit.sum(), found.closed_form.sum(), found.fitted.sum()
    assert float(torch.corrcoef(torch.stack([found.refit, found.closed_form]))[0, 1]) > 0.98
    assert float(closed_form) == pytest.approx(float(refit), rel=0.05)
    assert abs(closed_form - refit) < (fitted - refit) / 2, "most of what a fit makes up of noise is taken off"


def test_closed_form_and_fits_without_the_images_agree_on_the_models(judged):
    refit, closed_form = (
        sorted(judged, key=lambda name: float(getattr(judged[name].predictions, kind).sum()))
        for kind in ("refit", "closed_form")
    )
    assert refit == closed_form == ["free", "coarsest", "fine", "best"]


def loss(judged, name) -> tuple[float, float]:
    """How much worse a model is than the best, in what it predicts of the way from the start and in the map."""
    best, other = judged["best"], judged[name]
    missing = float((best.predictions.refit - other.predictions.refit).sum())
    return missing / best.predictions.gain, 1 - other.map_correlation / best.map_correlation


def test_priors_keep_a_model_that_is_far_too_fine_from_harm(judged):
    unpredicted, map_loss = loss(judged, "fine")
    assert unpredicted < 0.03
    assert map_loss < 0.03


def test_without_priors_it_does_harm(judged):
    unpredicted, map_loss = loss(judged, "free")
    assert unpredicted > 0.3
    assert map_loss > 0.03
