"""Which sign depth has in the defocus, judged by particle images.

A particle that lies deeper is farther from focus, or nearer: a series says which (AreAnglesInverted). Each image is
taken with the CTF of either sign and compared with a reference of the other half set, which was made with both signs
in equal shares, so that neither is favoured. The right sign fits better, the more so the farther from the axis of the
tilt a particle is.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from scipy import stats
from torch import Tensor

from mlit.deformation.local_coordinates import View
from mlit.fourier.slices import ReferenceTable
from mlit.likelihood.chunk import bring_up_to_date, images_per_chunk
from mlit.likelihood.columns import model_alone
from mlit.likelihood.particle_images import ParticleImages
from mlit.parallel import run_pieces

SURE = 3.0  # standard errors


@dataclass(frozen=True)
class HandEvidence:
    """How much better the stated sign of depth suits some particles than the opposite one.

    Attributes
    ----------
    particles
        How many there are.
    sigmas
        Mean log-likelihood ratio, stated to opposite, in standard errors; those of few particles, which are uncertain
        themselves, count for as much less as Student's distribution says. 0 where nothing differs.
    """

    particles: int
    sigmas: float

    @classmethod
    def of(cls, difference: Float[Tensor, " particle"], reference_particles: int) -> "HandEvidence":
        """Judge the differences of some particles.

        Particles scatter about their mean independently. References are made of particles too, and what these bring in
        is at most as much again for a series that is all there is, and less for one of many.

        Parameters
        ----------
        difference
            Log-likelihood with the stated sign minus that with the opposite one.
        reference_particles
            How many particles the references were made of.
        """
        count = len(difference)
        spread = float(difference.std()) if count > 1 else 0.0
        if spread == 0.0:
            return cls(count, 0.0)
        error = spread * math.sqrt((1 + count / reference_particles) / count)
        score = float(difference.mean()) / error
        tail = stats.t.logsf(abs(score), count - 1)
        return cls(count, math.copysign(_normal_score(float(tail)), score))

    @property
    def verdict(self) -> str:
        """What the images say."""
        if abs(self.sigmas) < SURE:
            return "cannot tell"
        return "as stated" if self.sigmas > 0 else "opposite"


def _normal_score(log_tail: float) -> float:
    """Return the standard deviations beyond which a normal distribution has a share, given as its logarithm."""
    if log_tail > -600:
        return float(stats.norm.isf(math.exp(log_tail)))
    return math.sqrt(-2 * log_tail)  # where the share itself is too small to be written


@dataclass(frozen=True)
class Fit:
    """How images fit to their references with one sign of depth; see :class:`LocalStatistics` for the two terms."""

    cross: Float[Tensor, "particle tilt"]
    power: Float[Tensor, "particle tilt"]


def compare(images: ParticleImages, view: View, table: ReferenceTable, map_index: Int[Tensor, " particle"]) -> Fit:
    """Compare the images of each particle with its reference.

    Parameters
    ----------
    images
        Premultiplied images.
    view
        Where they were cut.
    table, map_index
        References, and which of them each particle is compared with.
    """
    tilts = images.valid.shape[1]
    out = torch.zeros(2, images.valid.numel(), dtype=torch.float64)

    def look_at(part: Tensor) -> None:
        particle, tilt = part // tilts, part % tilts
        model = model_alone(images, view, table, map_index[particle], particle, tilt)
        chunk = bring_up_to_date(images, view, particle, tilt, None)
        out[0, part] = (model * chunk.data_of(model)).sum((1, 2)).cpu().double()
        out[1, part] = (model * chunk.weighted(model)).sum((1, 2)).cpu().double()

    which = images.valid.flatten().nonzero().squeeze(1)
    run_pieces(look_at, which.split(images_per_chunk(images)), images.data.device)
    cross, power = out.unflatten(1, images.valid.shape) * (2 / images.pixels.area_square_angstrom)
    return Fit(cross, power)


def log_likelihood_ratio(stated: Fit, opposite: Fit) -> Float[Tensor, " particle"]:
    """Log-likelihood of each particle with the stated sign minus that with the opposite one.

    Both take the amplitude of each tilt that suits them best together. A sign cannot gain by the mere strength of the
    CTF that goes with it, since that raises what the reference predicts as well.
    """
    cross, power = (torch.stack([getattr(fit, name) for fit in (stated, opposite)]) for name in ("cross", "power"))
    amplitude = (cross.sum((0, 1)) / power.sum((0, 1)).clamp(min=1e-30)).clamp(min=0)
    each = amplitude * cross - amplitude.square() * power / 2
    return (each[0] - each[1]).sum(1)
