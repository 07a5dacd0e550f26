"""How the fits of the series went, one by one and together."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mlit.likelihood.deviation import NONE, Deviation
from mlit.training.series_step import Fit

LEFT_OUT = "left out: "


@dataclass(frozen=True)
class SeriesStatus:
    """How the last fit of a series went.

    ``status`` starts with converged, improved, unchanged, rejected (the parameters are those before the fit) or
    left out (its images cannot be used).

    Attributes
    ----------
    passes
        Passes over the images.
    log_posterior_start, log_posterior_end
        Objective before and after.
    held_out_log_likelihood
        Sum over all images of what each would have had, if it had been kept out of the fit; against no signal at all.
    images
        Images that took part.
    resolution_angstrom
        Finest detail that took part.
    change
        How far the particles moved in the images.
    change_in_errors
        How far the optics moved, in standard errors.
    expected_error
        How far they are still off, by the curvature of the objective.
    """

    status: str
    passes: int = 0
    log_posterior_start: float = float("nan")
    log_posterior_end: float = float("nan")
    held_out_log_likelihood: float = float("nan")
    images: int = 0
    resolution_angstrom: float = float("nan")
    change: Deviation = NONE
    change_in_errors: float = float("nan")
    expected_error: Deviation = NONE

    @classmethod
    def of(cls, fit: Fit, resolution_angstrom: float) -> "SeriesStatus":
        """Sum up a fit that has not failed."""
        assert fit.posterior is not None
        return cls(
            fit.outcome.status,
            fit.outcome.passes,
            fit.outcome.start,
            fit.outcome.end,
            float(fit.posterior.held_out.sum()),
            int(fit.seen.sum()),
            resolution_angstrom,
            fit.change,
            fit.change_in_errors,
            Deviation.expected(fit.posterior.local, fit.believed),
        )

    @classmethod
    def left_out(cls, reason: str) -> "SeriesStatus":
        """Say why the images of a series cannot be used."""
        return cls(f"{LEFT_OUT}{reason}")

    @property
    def reason_left_out(self) -> str | None:
        """Why the series could not be used; None where it could."""
        return self.status.removeprefix(LEFT_OUT) if self.status.startswith(LEFT_OUT) else None

    def as_mapping(self) -> dict[str, Any]:
        """Plain values, for files."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "SeriesStatus":
        """Undo :meth:`as_mapping`."""
        deviations = {name: Deviation(**values[name]) for name in ("change", "expected_error")}
        return cls(**{**values, **deviations})


def summary_of_fits(statuses: Iterable[SeriesStatus]) -> dict[str, Any]:
    """Figures of all series together: expected error, held-out log-likelihood of an image, resolution of the fits.

    All are None where no series was fitted.
    """
    fitted = [status for status in statuses if status.images]
    if not fitted:
        return {"expected_error": None, "held_out_log_likelihood": None, "fit_resolution_angstrom": None}
    images = sum(status.images for status in fitted)
    errors = {
        name: math.sqrt(sum(s.images * getattr(s.expected_error, name) ** 2 for s in fitted) / images)
        for name in ("position_angstrom", "rotation_deg", "defocus_nm")
    }
    return {
        "expected_error": errors,
        "held_out_log_likelihood": sum(s.held_out_log_likelihood for s in fitted) / images,
        "fit_resolution_angstrom": fitted[0].resolution_angstrom,
    }
