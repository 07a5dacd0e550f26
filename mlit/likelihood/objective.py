"""The objective of one tilt series: log-posterior of its poses and hyperparameters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mlit.deformation.local_coordinates import VIEW_COORDINATES, local_cotangent
from mlit.deformation.series_model import Jacobians, SeriesModel
from mlit.likelihood.amplitude import AMPLITUDE_WIDTH, fitted_amplitude
from mlit.likelihood.matches import Matches
from mlit.likelihood.normal_equations import SeriesSystem, assemble, with_prior
from mlit.likelihood.posterior import held_out, local_covariance
from mlit.likelihood.statistics import LocalStatistics, local_statistics
from mlit.optics.ctf import ANGSTROM_PER_MICROMETRE

FRACTION_OF_DETAIL = 1 / 60
PRIOR_ROUNDS = 4


@dataclass(frozen=True)
class Tolerance:
    """Changes that no longer matter.

    Attributes
    ----------
    shift_angstrom, rotation_rad, defocus_um, phase_rad
        Of the images, root mean square.
    errors
        Of the poses and of each block, root mean square, in units of standard errors.
    """

    shift_angstrom: float = 0.05
    rotation_rad: float = 5e-4
    defocus_um: float = 2e-3
    phase_rad: float = 0.01
    errors: float = 0.1

    @classmethod
    def at(cls, resolution_angstrom: float, half_width_angstrom: float, wavelength_angstrom: float) -> "Tolerance":
        """Return changes that move the finest detail by a small part of its size, at any place in the molecule.

        Parameters
        ----------
        resolution_angstrom
            Finest detail that takes part.
        half_width_angstrom
            Half the side of the box that holds the molecule.
        wavelength_angstrom
            Electron wavelength.
        """
        shift, phase = FRACTION_OF_DETAIL * resolution_angstrom, 2 * math.pi * FRACTION_OF_DETAIL
        defocus = phase * resolution_angstrom**2 / (math.pi * wavelength_angstrom * ANGSTROM_PER_MICROMETRE)
        return cls(shift, shift / half_width_angstrom, defocus, phase)

    @classmethod
    def strictest(cls, several: Sequence["Tolerance"]) -> "Tolerance":
        """Return what satisfies all of several."""
        return cls(*(min(getattr(one, field.name) for one in several) for field in fields(cls)))


@dataclass(frozen=True)
class Posterior:
    """What a fit leaves uncertain.

    Attributes
    ----------
    poses
        Covariance of the raw parameters of each particle, in units of their priors' widths.
    hyper_error
        Standard errors of the raw hyperparameters, likewise.
    local
        Covariance of the watched local coordinates of every image.
    held_out
        Log-likelihood of every image as predicted by a fit without it; zero where a particle is not seen.
    held_out_cost
        What errors of the prediction are expected to cost of it.
    power
        Squared length of the predicted signal of every image, in units of the noise.
    followed_noise
        What every image is expected to add to the cross term of its likelihood because the fit has followed its noise.
    """

    poses: Float[Tensor, "particle pose pose"]
    hyper_error: Float[Tensor, " hyper"]
    local: Float[Tensor, "particle tilt coordinate coordinate"]
    held_out: Float[Tensor, "particle tilt"]
    held_out_cost: Float[Tensor, "particle tilt"]
    power: Float[Tensor, "particle tilt"]
    followed_noise: Float[Tensor, "particle tilt"]


class SeriesObjective:
    """Log-posterior of one tilt series against given references, to be maximised.

    Amplitudes of the reference in each tilt are maximised in closed form at every evaluation.

    Parameters
    ----------
    model
        Parameters; changed in place by :meth:`move`.
    matches
        Images, and what they are compared with.
    amplitude_prior
        Expected amplitude of each tilt; zero leaves a tilt out.
    amplitude_width
        Standard deviation of the amplitudes.
    tolerance
        When a step is too small to matter.
    weight
        How much each particle counts, above zero: its images and the prior of its pose alike. So the weight decides
        how much the particle has to say about the series, and not how its own pose is found. All one where it is None.
    """

    def __init__(
        self,
        model: SeriesModel,
        matches: Matches,
        amplitude_prior: Float[Tensor, " tilt"],
        amplitude_width: float = AMPLITUDE_WIDTH,
        tolerance: Tolerance | None = None,
        weight: Float[Tensor, " particle"] | None = None,
    ) -> None:
        self.model, self.matches = model, matches
        self.amplitude_prior, self.amplitude_width = amplitude_prior, amplitude_width
        self.amplitude = amplitude_prior.clone()
        self.tolerance = tolerance or Tolerance()
        self.weight = model.poses.raw.new_ones(len(model.poses.raw)) if weight is None else weight
        self.passes = 0
        self._statistics: LocalStatistics | None = None
        self._jacobians: Jacobians | None = None
        self._system: SeriesSystem | None = None
        self._seen: list[Tensor] | None = None
        self._before: tuple[list[Tensor], Tensor, LocalStatistics | None] | None = None

    def parameters(self) -> list[nn.Parameter]:
        """All parameters that take part."""
        return [p for p in self.model.parameters() if p.requires_grad]

    def _fit_amplitude(self, statistics: LocalStatistics) -> Float[Tensor, " tilt"]:
        cross, power = self.weight @ statistics.cross, self.weight @ statistics.power
        return fitted_amplitude(cross, power, self.amplitude_prior, self.amplitude_width)

    @torch.no_grad()
    def _pass(self) -> tuple[LocalStatistics, float]:
        """One pass over the images at the present parameters, and the objective."""
        view = self.model()
        parts = [
            (batch.particles, local_statistics(batch.images, view.of(batch.particles), batch.table, batch.map_index))
            for batch in self.matches
        ]
        statistics = LocalStatistics.joined(parts, len(self.weight))
        self.amplitude = self._fit_amplitude(statistics)
        self.passes += 1
        return statistics, self._value(statistics)

    def _value(self, statistics: LocalStatistics) -> float:
        surprise = ((self.amplitude - self.amplitude_prior) / self.amplitude_width).square().sum() / 2
        fit = self.weight @ statistics.log_likelihood(self.amplitude).sum(1)
        return float(fit - surprise - self.model.penalty(self.weight).detach())

    def evaluate(self) -> float:
        """Log-posterior at the present parameters; where they are those of the last time, without a pass."""
        now = self._values()
        if self._statistics is None or self._seen is None or not all(map(torch.equal, self._seen, now)):
            self._statistics, _ = self._pass()
            self._seen, self._system, self._jacobians = now, None, None
        return self._value(self._statistics)

    def _values(self) -> list[Tensor]:
        return [p.detach().clone() for p in self.model.parameters()]

    def system(self) -> SeriesSystem:
        """Gradient and Gauss-Newton curvature at the parameters of the last :meth:`evaluate`."""
        if self._system is None:
            self._system = with_prior(self._assemble(), self.model, self.weight)
        return self._system

    def _assemble(self) -> SeriesSystem:
        """Return what the images alone say."""
        assert self._statistics is not None, "evaluate first"
        if self._jacobians is None:
            self._jacobians = self.model.jacobians()
        weight = self.weight[:, None, None]
        gradient = weight * self._statistics.gradient(self.amplitude)
        curvature = weight[..., None] * self._curvature(self._statistics)
        return assemble(self._jacobians, gradient, curvature, self.model.layout())

    def _curvature(self, statistics: LocalStatistics) -> Float[Tensor, "particle tilt coordinate coordinate"]:
        return statistics.curvature * self.amplitude.square()[:, None, None]

    @torch.no_grad()
    def learn_priors(self) -> None:
        """Fit the widths of the blocks' priors to what the images say, at the parameters of the last evaluation.

        Expectation maximisation on the linear model, which needs no further pass over the images. Both the size of
        the parameters and their uncertainty count, so that noise does not pass for a large prior.
        """
        if not self.model.active_blocks:
            return
        hyper, data = self.model.hyper.detach(), self._assemble()
        for _ in range(PRIOR_ROUNDS):
            system = with_prior(data, self.model, self.weight)
            mean, covariance, offset = hyper + system.solve()[1], system.covariance(), 0
            for block in self.model.active_blocks:
                part = slice(offset, offset + block.raw.numel())
                block.learn_prior(mean[part], covariance.of_groups(block.prior.groups + offset))
                offset = part.stop
        self._system = None

    @torch.no_grad()
    def posterior(self) -> Posterior:
        """Error bars and held-out likelihood at the parameters of the last :meth:`evaluate`.

        Raises
        ------
        torch.linalg.LinAlgError
            If the curvature is not positive definite.
        """
        covariance = self.system().covariance()
        assert self._statistics is not None
        assert self._jacobians is not None
        weight = self.weight[:, None, None]  # of a particle alone, the covariance is that of a weight of one
        local = weight[..., None] * local_covariance(self._jacobians, covariance)
        power = self._statistics.power * self.amplitude.square()
        curvature = self._curvature(self._statistics)
        followed = torch.einsum("ptij,ptji->pt", local, curvature)
        predicted = held_out(
            self._statistics.log_likelihood(self.amplitude),
            self._statistics.gradient(self.amplitude),
            curvature,
            local,
            power,
        )
        errors = weight * covariance.poses, covariance.variance().sqrt(), local
        return Posterior(*errors, predicted.log_likelihood, predicted.cost, power, followed)

    @torch.no_grad()
    def move(self, item: Float[Tensor, "particle pose"], shared: Float[Tensor, " hyper"]) -> None:
        """Add a step to the parameters."""
        self._before = (self._values(), self.amplitude, self._statistics)
        self._system = None
        self.model.poses.raw.add_(item)
        for block, part in self.model.split(shared):
            block.raw.add_(part)

    @torch.no_grad()
    def undo(self) -> None:
        """Put back everything as it was before the last :meth:`move`."""
        assert self._before is not None, "move first"
        values, self.amplitude, self._statistics = self._before
        self._seen, self._system, self._jacobians = values, None, None
        for parameter, value in zip(self.model.parameters(), values, strict=True):
            parameter.copy_(value)

    def step_size(self, item: Float[Tensor, "particle pose"], shared: Float[Tensor, " hyper"]) -> float:
        """Largest change of the images, in units of the tolerance."""
        assert self._jacobians is not None, "system first"
        step = torch.einsum("ptik,pk->pti", self._jacobians.poses, item)
        step = step + torch.einsum("ptic,tc->pti", self._jacobians.hyper, shared[self._jacobians.columns])
        weight = (self.weight[:, None] * self.matches.valid)[..., None]
        rms = ((weight * step.square()).sum((0, 1)) / weight.sum().clamp(min=1e-12)).sqrt()
        limits = self.tolerance
        shift = torch.hypot(rms[0], rms[1])
        sizes = [rms[2:5].norm() / limits.rotation_rad, rms[5] / limits.defocus_um]
        phase, at_rim = self.matches.aberration_sizes(rms[VIEW_COORDINATES:])
        sizes.append(phase / limits.phase_rad)
        shift = torch.maximum(shift, at_rim)
        return float(max(shift / limits.shift_angstrom, *sizes, self._step_in_errors(item, shared) / limits.errors))

    def _step_in_errors(self, item: Float[Tensor, "particle pose"], shared: Float[Tensor, " hyper"]) -> float:
        """Step of the poses or of a block in units of standard errors, root mean square, whichever is largest.

        A Newton step of one standard error raises the objective by a half.
        """
        assert self._system is not None
        by_pose, by_hyper = self._system.gradient
        gains = [(by_pose * item).mean()]
        rises = (by_hyper * shared).split([block.raw.numel() for block in self.model.active_blocks])
        return math.sqrt(max(float(gain) for gain in [*gains, *(rise.mean() for rise in rises if len(rise))]))

    def loss(self) -> Float[Tensor, ""]:
        """Negative log-posterior for first-order optimisers; gradients flow through the geometry."""
        statistics, value = self._pass()
        view = self.model()
        with torch.no_grad():
            gradient = self.weight[:, None, None] * statistics.gradient(self.amplitude)
            full = gradient.new_zeros(*gradient.shape[:2], VIEW_COORDINATES + view.aberrations.shape[1])
            full[..., self.model.coordinates] = gradient
            pull = local_cotangent(view, full)
        surrogate = (view.xy_angstrom * pull.xy_angstrom).sum() + (view.rotation * pull.rotation).sum()
        surrogate = surrogate + (view.defocus_um * pull.defocus_um).sum() - self.model.penalty(self.weight)
        surrogate = surrogate + (view.aberrations * pull.aberrations).sum()
        return -(value + surrogate - surrogate.detach())
