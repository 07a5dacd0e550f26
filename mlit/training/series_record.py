"""What a run knows of a series besides its parameters: the outcome of its last fit."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, replace
from typing import Any

from jaxtyping import Float
from torch import Tensor

from mlit.deformation.series_model import SeriesModel
from mlit.likelihood.credence import Credence
from mlit.likelihood.defocus_search import DefocusSearch
from mlit.training.model_selection import Evidence
from mlit.training.series_status import SeriesStatus
from mlit.training.series_step import Fit, SeriesContext, relative_amplitude

NOT_FITTED = "not fitted"


@dataclass(frozen=True)
class SeriesRecord:
    """Outcome of the last fit of a series.

    Attributes
    ----------
    status
        How it went.
    amplitude
        Amplitude of the references in each tilt.
    credence
        What the images say about particles and tilts.
    errors
        Covariances of the poses, under ``poses``, and standard errors of the hyperparameters by the names of their
        blocks, each of the last fit that refined it; empty before the first.
    search
        What a search of the defocus found in this iteration; None where there was none.
    evidence
        How other models did in comparison in this iteration, by their labels.
    followed_noise
        What following the noise of each image has added to its cross term, see
        :class:`mlit.likelihood.objective.Posterior`; None before the first fit.
    """

    status: SeriesStatus
    amplitude: Float[Tensor, " tilt"]
    credence: Credence
    errors: Mapping[str, Tensor] = field(default_factory=dict)
    search: DefocusSearch | None = None
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    followed_noise: Float[Tensor, "particle tilt"] | None = None

    @classmethod
    def before_fits(cls, context: SeriesContext) -> "SeriesRecord":
        """Return what holds before any fit: all is as the metadata say."""
        credence = Credence.certain(len(context.false_fraction), len(context.use_tilt))
        return cls(SeriesStatus(NOT_FITTED), context.amplitude_prior, credence)

    def after(self, fit: Fit, model: SeriesModel, resolution_angstrom: float) -> "SeriesRecord":
        """Take over a fit that has not failed."""
        assert fit.posterior is not None
        assert fit.credence is not None
        hyper = {block.name: part for block, part in model.split(fit.posterior.hyper_error)}
        return SeriesRecord(
            SeriesStatus.of(fit, resolution_angstrom),
            fit.amplitude,
            fit.credence,
            {**self.errors, "poses": fit.posterior.poses, **hyper},
            fit.search,
            followed_noise=fit.posterior.followed_noise,
        )

    def without_fit(self, status: SeriesStatus | None = None) -> "SeriesRecord":
        """Return what holds after an iteration that has found nothing; figures are those of the last fit by default."""
        status = status or replace(self.status, status=NOT_FITTED, passes=0)
        return replace(self, status=status, search=None, evidence={})

    def relative_amplitude(self, context: SeriesContext) -> Float[Tensor, " tilt"]:
        """Amplitudes on the scale of the expected ones."""
        return relative_amplitude(self.amplitude, context.amplitude_prior)

    def as_mapping(self) -> dict[str, Any]:
        """Plain values and tensors, for files."""
        return {
            "status": self.status.as_mapping(),
            "amplitude": self.amplitude,
            "credence": vars(self.credence),
            "errors": dict(self.errors),
            "search": self.search and vars(self.search),
            "evidence": {label: astuple(found) for label, found in self.evidence.items()},
            "followed_noise": self.followed_noise,
        }

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "SeriesRecord":
        """Undo :meth:`as_mapping`."""
        return cls(
            SeriesStatus.from_mapping(values["status"]),
            values["amplitude"],
            Credence(**values["credence"]),
            values["errors"],
            values["search"] and DefocusSearch(**values["search"]),
            {label: Evidence(*found) for label, found in values["evidence"].items()},
            values["followed_noise"],
        )
