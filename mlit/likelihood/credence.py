"""Whether there is a molecule where a particle is said to be, and whether a tilt shows any of them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

BAD_TILTS = 0.01  # expected share of tilts that show nothing
LEAST_WEIGHT = 1e-3  # of what is most likely no particle: it counts next to nothing, but can come back

Share = float | Float[Tensor, " particle"]


@dataclass(frozen=True)
class Credence:
    """Log Bayes factors: there is what the references predict, against there is nothing.

    Attributes
    ----------
    particle, tilt
        Of the images of each particle together, and of each tilt together, in natural units.
    lit
        Share of the particles in each tilt that do not lie in the shade.
    """

    particle: Float[Tensor, " particle"]
    tilt: Float[Tensor, " tilt"]
    lit: Float[Tensor, " tilt"]

    @classmethod
    def certain(cls, particles: int, tilts: int) -> "Credence":
        """Return what is assumed before any image was compared with a reference: all is as the picks say."""
        particle, tilt = (torch.full((count,), float("inf"), dtype=torch.float64) for count in (particles, tilts))
        return cls(particle, tilt, torch.ones_like(tilt))

    @classmethod
    def of(
        cls,
        held_out: Float[Tensor, "particle tilt"],
        cost: Float[Tensor, "particle tilt"],
        power: Float[Tensor, "particle tilt"],
        lit: Float[Tensor, " tilt"],
    ) -> "Credence":
        """Weigh held-out predictions.

        Parameters
        ----------
        held_out, cost
            Log-likelihood of every image as predicted without it, and what errors of the prediction cost of it; see
            :class:`mlit.likelihood.posterior.Prediction`.
        power
            Squared length of the predicted signals in units of the noise.
        lit
            Share of the particles in each tilt that do not lie in the shade.
        """
        particle, tilt = (_log_bayes_factor(held_out.sum(dim), cost.sum(dim), power.sum(dim)) for dim in (1, 0))
        return cls(particle, tilt, lit)

    def of_particles(self, rows: slice) -> "Credence":
        """Return that of some particles."""
        return Credence(self.particle[rows], self.tilt, self.lit)

    def particle_probability(self, false_fraction: Share) -> Float[Tensor, " particle"]:
        """Probability that each particle is one, where a share of them is expected not to be."""
        return _probability(self.particle, torch.as_tensor(false_fraction).to(self.particle))

    def tilt_probability(self) -> Float[Tensor, " tilt"]:
        """Probability that each tilt shows the particles."""
        return _probability(self.tilt, self.tilt.new_tensor(BAD_TILTS))

    def particle_weight(self, false_fraction: Share) -> Float[Tensor, " particle"]:
        """How much each particle counts: its probability, and never quite nothing."""
        return self.particle_probability(false_fraction).clamp(min=LEAST_WEIGHT)

    def image_weight(self, false_fraction: Share) -> Float[Tensor, "particle tilt"]:
        """How much each image counts in the maps."""
        return self.particle_weight(false_fraction)[:, None] * self.tilt_probability()


def _log_bayes_factor(
    log_likelihood: Float[Tensor, " entry"], cost: Float[Tensor, " entry"], power: Float[Tensor, " entry"]
) -> Float[Tensor, " entry"]:
    """Compare the held-out log-likelihood x with what it would be with and without signal.

    With the power S of the predicted signal and the cost c of the errors of the prediction, x is Gaussian with the
    variance S about S/2 - c where there is a molecule, and about -S/2 where there is none. The ratio of the two
    densities has the logarithm (1 - c/S) (x + c/2). Where errors leave nothing of the signal, c > S, it says nothing.
    """
    known = (1 - cost / power.clamp(min=1e-12)).clamp(min=0)
    return known * (log_likelihood + cost / 2)


def _probability(evidence: Float[Tensor, " entry"], false_fraction: Float[Tensor, "*entry"]) -> Float[Tensor, " entry"]:
    return torch.where(false_fraction == 0, 1.0, torch.sigmoid(evidence - torch.logit(false_fraction)))
