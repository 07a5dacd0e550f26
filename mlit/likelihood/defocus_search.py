"""A wide search of the defocus of every tilt, for starts outside the reach of a local fit.

With all particles of a tilt out of focus by δ more, γ grows by δ s, where s is its slope at a frequency. The model
becomes ``cos(δ s) M + sin(δ s) M'`` with M' its derivative by γ. Cross term and power at any δ thus follow from five
products of M and M' with data and each other, summed over the particles of a tilt and over pixels of equal slope:
the slices are read once for all offsets.

A wide search finds a peak in any curve, and taking it has been seen to ruin maps. Here a tilt jumps only if that
is far more probable than that it started as well as the others; see :class:`JumpRule`.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mlit.deformation.local_coordinates import View
from mlit.fourier.slices import ReferenceTable
from mlit.likelihood.amplitude import fitted_amplitude
from mlit.likelihood.chunk import bring_up_to_date, images_per_chunk
from mlit.likelihood.columns import model_columns
from mlit.likelihood.matches import Matches
from mlit.likelihood.particle_images import ParticleImages
from mlit.parallel import run_pieces

STEP_RAD = math.pi / 8  # between offsets, at the finest detail
SHELL_RAD = 0.02  # spread of the phases in a shell at the largest offset
FEWEST_STEPS = 8  # on either side


@dataclass(frozen=True)
class PhaseProducts:
    """Products of the model M and of its derivative M' by γ, summed over the particles of each tilt.

    Attributes
    ----------
    slope
        Mean slope of γ by defocus in each shell, rad/µm.
    values
        Re<M, X>, Re<M', X>, <M, M>, Re<M, M'> and <M', M'>, with X the data and all weighted by the noise.
    """

    slope: Float[Tensor, " shell"]
    values: Float[Tensor, "tilt product shell"]

    def at(self, offset_um: Float[Tensor, " offset"]) -> tuple[Float[Tensor, "tilt offset"], ...]:
        """Cross term and power of every tilt at offsets of its defocus."""
        phase = self.slope[:, None] * offset_um
        cos, sin = torch.cos(phase), torch.sin(phase)
        first, second, square, mixed, other = self.values.unbind(1)
        cross = first @ cos + second @ sin
        return cross, square @ cos.square() + 2 * mixed @ (cos * sin) + other @ sin.square()


def phase_products(
    images: ParticleImages,
    view: View,
    table: ReferenceTable,
    map_index: Int[Tensor, " particle"],
    reach_um: float,
) -> PhaseProducts:
    """Compare all images of a series with their references, for offsets of the defocus up to a reach.

    Parameters
    ----------
    images
        Premultiplied images with their quadrature.
    view
        Where the particles are.
    table, map_index
        References, and which of them each particle is compared with.
    reach_um
        Largest offset that will be asked for; decides how fine the shells are.
    """
    tilts = images.valid.shape[1]
    which = images.valid.flatten().nonzero().squeeze(1)
    shell, slope = _shells(images.slope, reach_um)
    changes = None if images.watched is None else images.watched.phase_changes(view.aberrations)

    def look_at(part: Tensor) -> Tensor:
        particle, tilt = part // tilts, part % tilts
        chunk = bring_up_to_date(images, view, particle, tilt, changes)
        model = model_columns(images, view, table, map_index[particle], particle, tilt)[:, :, 0]
        by_phase, wave, square = chunk.by_phase(model)
        own = [(model * chunk.data_of(model)).sum(1), by_phase, (model * chunk.weighted(model)).sum(1)]
        products = torch.stack([*own, (model * wave).sum(1), square], 1)
        sums = products.new_zeros(*products.shape[:2], len(slope)).index_add_(2, shell, products).cpu().double()
        return sums.new_zeros(tilts, *sums.shape[1:]).index_add_(0, tilt, sums)

    parts = run_pieces(look_at, which.split(images_per_chunk(images)), images.data.device)
    zero = torch.zeros(tilts, 5, len(slope), dtype=torch.float64)
    return PhaseProducts(slope, sum(parts, zero) * (2 / images.pixels.area_square_angstrom))


def _shells(slope: Float[Tensor, " pixel"], reach_um: float) -> tuple[Int[Tensor, " pixel"], Float[Tensor, " shell"]]:
    """Cut pixels into shells of nearly equal slope; returns the shell of each pixel and the mean slope of each."""
    exact = slope.cpu().double()
    width = SHELL_RAD / reach_um
    shell = torch.unique((exact.abs() / width).floor().long(), return_inverse=True)[1]
    total = torch.zeros(int(shell.max()) + 1, dtype=torch.float64)
    return shell.to(slope.device), total.index_add(0, shell, exact) / torch.bincount(shell)


def offsets_to_try(slope: Float[Tensor, " pixel"], reach_um: float) -> Float[Tensor, " offset"]:
    """Offsets from minus to plus a reach (µm), as dense as the finest detail asks for; the middle one is 0.

    ``slope`` is the derivative of γ by defocus (rad/µm).
    """
    finest = STEP_RAD / float(slope.abs().max())
    steps = max(FEWEST_STEPS, math.ceil(reach_um / finest))
    return torch.arange(-steps, steps + 1, dtype=torch.float64) / steps * reach_um


@dataclass(frozen=True)
class DefocusPrior:
    """What is expected of the defocus of every tilt.

    Attributes
    ----------
    deviation_um
        Present deviation from the centre of the prior.
    width_um
        Standard deviation.
    """

    deviation_um: Float[Tensor, " tilt"]
    width_um: Float[Tensor, " tilt"]

    def log_density(self, offset_um: Float[Tensor, " offset"]) -> Float[Tensor, "tilt offset"]:
        """Log of the density (1/µm) at offsets from the present values."""
        width = self.width_um[:, None]
        score = (self.deviation_um[:, None] + offset_um) / width
        return -score.square() / 2 - torch.log(width * math.sqrt(2 * math.pi))


@dataclass(frozen=True)
class JumpRule:
    """When the defocus of a tilt is moved to a far peak of its likelihood.

    A tilt started either as well as the prior says or, rarely, anywhere within reach. A far peak must be more probable
    under the second assumption than the best point that a local climb from the start finds under the first, and must
    stand out among all other peaks. It must not lie at the end of the reach.

    Attributes
    ----------
    outliers
        Share of the tilts that may have started anywhere.
    margin
        How much more probable, and how far above other peaks, in units of the log-likelihood.
    """

    outliers: float = 0.01
    margin: float = 5.0

    def jump(
        self,
        offset_um: Float[Tensor, " offset"],
        log_likelihood: Float[Tensor, " offset"],
        log_prior: Float[Tensor, " offset"],
    ) -> float:
        """Offset (µm) to which a tilt jumps; 0 where it stays."""
        if not bool(torch.isfinite(log_likelihood).all()):
            return 0.0
        middle, best = len(offset_um) // 2, int(log_likelihood.argmax())
        reach = float(offset_um[-1])
        near = _uphill(log_likelihood + log_prior, middle)
        anywhere = math.log(self.outliers / (2 * reach))
        gain = float(log_likelihood[best] + anywhere - (log_likelihood + log_prior)[near])
        others = [float(log_likelihood[peak]) for peak in _peaks(log_likelihood) if peak != best]
        stands_out = all(float(log_likelihood[best]) > other + self.margin for other in others)
        inside = 0 < best < len(offset_um) - 1
        if not (inside and stands_out and gain > self.margin):
            return 0.0
        return float(offset_um[best]) + _vertex(log_likelihood, best) * float(offset_um[1] - offset_um[0])


def _uphill(values: Float[Tensor, " offset"], place: int) -> int:
    """Climb along a curve to the next peak."""
    while True:
        around = range(max(0, place - 1), min(len(values), place + 2))
        best = max(around, key=lambda i: float(values[i]))
        if float(values[best]) <= float(values[place]):
            return place
        place = best


def _peaks(values: Float[Tensor, " offset"]) -> list[int]:
    """Places of all maxima, those at the ends included."""
    padded = torch.nn.functional.pad(values, (1, 1), value=-math.inf)
    is_peak = (values > padded[:-2]) & (values >= padded[2:])
    return is_peak.nonzero().flatten().tolist()


def _vertex(values: Float[Tensor, " offset"], peak: int) -> float:
    """Top of the parabola through a peak and its neighbours, in steps from the peak."""
    left, top, right = values[peak - 1 : peak + 2].tolist()
    bend = left - 2 * top + right
    return 0.5 * (left - right) / bend if bend < 0 else 0.0


@dataclass(frozen=True)
class DefocusSearch:
    """What a search has found.

    Attributes
    ----------
    offset_um
        Offsets from the defocus at which the images were cut.
    log_likelihood
        Of every tilt at every offset, with whatever amplitude suits it best, so that 0 is no signal at all. The prior
        of the amplitude, which expects a signal, would reward noise that looks like one.
    jump_um
        How far each tilt is moved; 0 where it stays.
    """

    offset_um: Float[Tensor, " offset"]
    log_likelihood: Float[Tensor, "tilt offset"]
    jump_um: Float[Tensor, " tilt"]

    @property
    def accepted(self) -> Bool[Tensor, " tilt"]:
        """Tilts that are moved."""
        return self.jump_um != 0


@torch.no_grad()
def search_defocus(
    matches: Matches,
    view: View,
    amplitude_prior: Float[Tensor, " tilt"],
    prior: DefocusPrior,
    reach_um: float,
    rule: JumpRule | None = None,
) -> DefocusSearch:
    """Look at the likelihood of every tilt over a range of defocus, all else being held; changes nothing.

    Parameters
    ----------
    matches
        Premultiplied images with their quadrature, cut in boxes large enough for the reach, and their references.
    view
        Where the particles are.
    amplitude_prior
        Expected amplitude of each tilt; a tilt with 0 stays.
    prior
        What is expected of the defocus.
    reach_um
        Largest offset.
    rule
        When to jump.
    """
    rule = rule or JumpRule()
    offset = offsets_to_try(matches.slope, reach_um)
    pairs = [
        phase_products(batch.images, view.of(batch.particles), batch.table, batch.map_index, reach_um).at(offset)
        for batch in matches
    ]
    cross, power = (torch.stack(part).sum(0) for part in zip(*pairs, strict=True))
    expected = amplitude_prior.to(cross)[:, None].expand_as(cross)
    amplitude = fitted_amplitude(cross, power, expected, math.inf)
    curves = amplitude * cross - amplitude.square() * power / 2
    log_prior = prior.log_density(offset)
    jumps = [rule.jump(offset, *both) for both in zip(curves, log_prior, strict=True)]
    return DefocusSearch(offset, curves, torch.tensor(jumps, dtype=torch.float64))
