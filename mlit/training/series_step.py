"""What is done with one tilt series in one iteration: fit its parameters, then add its images to the maps."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mlit.deformation.defocus import Defocus
from mlit.deformation.local_coordinates import View
from mlit.deformation.series_model import SeriesModel
from mlit.fourier.insertion import FourierSums
from mlit.fourier.slices import ReferenceTable
from mlit.likelihood.credence import Credence
from mlit.likelihood.defocus_search import DefocusPrior, DefocusSearch, search_defocus
from mlit.likelihood.deviation import NONE, Deviation
from mlit.likelihood.image_batches import ImageBatches
from mlit.likelihood.matches import Match, Matches
from mlit.likelihood.objective import Posterior, SeriesObjective, Tolerance
from mlit.likelihood.particle_images import ParticleImages
from mlit.likelihood.premultiply import ImageRequest, premultiply
from mlit.likelihood.signal_weights import SignalWeights
from mlit.likelihood.tilt_images import TiltImages, weigh
from mlit.maps.reconstruction import insert_particles
from mlit.optim.levenberg_marquardt import Outcome
from mlit.optim.solvers import Solver
from mlit.training.fit_batches import USUAL_BYTES


@dataclass(frozen=True)
class Fit:
    """Result of fitting one series.

    Attributes
    ----------
    outcome
        How the optimisation ended.
    amplitude
        Amplitude of the references in each tilt.
    change
        How far the particles moved in the images.
    change_in_errors
        How far the blocks moved that act through more than that, in standard errors (root mean square, the largest).
    posterior
        What remains uncertain; None where the fit failed.
    credence
        What the images say about particles and tilts; None where the fit failed.
    seen
        Images that took part.
    believed
        Those of them that show a particle more likely than not; ``change`` is that of these.
    search
        What a search of the defocus found before the fit; None where there was none.
    """

    outcome: Outcome
    amplitude: Float[Tensor, " tilt"]
    change: Deviation
    change_in_errors: float
    posterior: Posterior | None
    credence: Credence | None
    seen: Bool[Tensor, "particle tilt"]
    believed: Bool[Tensor, "particle tilt"]
    search: DefocusSearch | None = None


BYTES_PER_INSERTION = 1 << 28  # of premultiplied images in a batch while they are put into the maps


@dataclass(frozen=True)
class Members:
    """What stays the same for the particles of one species in a series.

    Attributes
    ----------
    group
        Group of each particle: half sets, and folds inside them.
    use_particle
        Particles that take part.
    border_angstrom
        Particles nearer to the edge of an image than this are not used there.
    ewald_hand
        Hand of the curvature of the Ewald sphere, see :class:`mlit.likelihood.premultiply.ImageRequest`.
    flat_angstrom
        Where no finer detail than this is looked at, slices are flat all the same.
    false_fraction
        Share of the particles that is expected to be none.
    """

    group: Int[Tensor, " particle"]
    use_particle: Bool[Tensor, " particle"]
    border_angstrom: float
    ewald_hand: int = 0
    flat_angstrom: float = math.inf
    false_fraction: float = 0.0

    def hand_at(self, resolution_angstrom: float) -> int:
        """Hand of the curvature that matters for detail up to a resolution; 0 where slices are flat."""
        return self.ewald_hand if resolution_angstrom < self.flat_angstrom else 0


@dataclass(frozen=True)
class SeriesContext:
    """What stays the same for a series through the run.

    Attributes
    ----------
    use_tilt
        Tilts that take part.
    amplitude_prior
        Expected signal amplitude of each tilt.
    members
        The particles, species by species, in the order in which the model has them.
    weights
        Strength of the signal.
    """

    use_tilt: Bool[Tensor, " tilt"]
    amplitude_prior: Float[Tensor, " tilt"]
    members: tuple[Members, ...]
    weights: SignalWeights = field(default_factory=SignalWeights)

    def rows(self, species: int) -> slice:
        """Where the model has the particles of a species."""
        first = sum(len(members.group) for members in self.members[:species])
        return slice(first, first + len(self.members[species].group))

    @property
    def false_fraction(self) -> Float[Tensor, " particle"]:
        """Share of the particles like each one that is expected to be none."""
        parts = [torch.full((len(m.group),), m.false_fraction, dtype=torch.float64) for m in self.members]
        return torch.cat(parts)

    def visible(self, view: View, image_size_angstrom: Float[Tensor, "2"]) -> Bool[Tensor, "particle tilt"]:
        """Which particles can be used in which tilts."""
        border = torch.cat([torch.full((len(m.group), 1, 1), m.border_angstrom) for m in self.members])
        border = border.to(view.xy_angstrom)
        inside = (view.xy_angstrom > border) & (view.xy_angstrom < image_size_angstrom - border)
        use_particle = torch.cat([m.use_particle for m in self.members])
        return inside.all(-1) & self.use_tilt & use_particle[:, None]


@dataclass(frozen=True)
class Target:
    """What the particles of one species are fitted to.

    Attributes
    ----------
    table
        References, one for each group of particles.
    tight_angstrom
        Side of the box that holds a reference.
    resolution_angstrom
        Finest detail that takes part.
    """

    table: ReferenceTable
    tight_angstrom: float
    resolution_angstrom: float

    def tolerance(self, wavelength_angstrom: float) -> Tolerance:
        """Return the changes that no longer matter for the species."""
        return Tolerance.at(self.resolution_angstrom, self.tight_angstrom / 2, wavelength_angstrom)


def fit(
    model: SeriesModel,
    images: TiltImages,
    context: SeriesContext,
    targets: Sequence[Target | None],
    solver: Solver,
    learn_priors: bool = False,
    look_far: bool = False,
    weight: Float[Tensor, " particle"] | None = None,
    batch_bytes: int = USUAL_BYTES,
) -> Fit:
    """Fit the active parameters of a series to its images; the parameters change in place.

    Each species has its target; None leaves its particles where they are. With ``look_far`` a wide search of the
    defocus comes first, where the model asks for one. ``weight`` says how much each particle has to say about the
    series, ``batch_bytes`` how much of its premultiplied images is held at once.

    Raises
    ------
    torch.linalg.LinAlgError
        If the curvature is not positive definite.
    """
    with torch.no_grad():
        view, before = model(), {block.name: block.physical() for block in model.active_blocks}
    defocus = _to_be_searched(model) if look_far else None
    search = None
    if defocus is None:
        matches = match(model, images, context, targets, batch_bytes)
    else:
        matches = match(model, images, context, targets, batch_bytes, defocus.search_um)
        search = _search(defocus, matches, view, context)
        if bool(search.accepted.any()):
            defocus.jump(search.jump_um)
            del matches  # never hold both
            matches = match(model, images, context, targets, batch_bytes)
    wavelength = model.start.optics.wavelength_angstrom
    tolerance = Tolerance.strictest([target.tolerance(wavelength) for target in targets if target is not None])
    objective = SeriesObjective(model, matches, context.amplitude_prior, tolerance=tolerance, weight=weight)
    if learn_priors and math.isfinite(objective.evaluate()):
        objective.learn_priors()
    outcome = solver.solve(objective)
    seen = matches.valid
    if outcome.status == "failed":
        return Fit(outcome, objective.amplitude, NONE, 0.0, None, None, seen, seen, search)
    posterior = objective.posterior()
    taking_part = [torch.full((len(m.group), 1), t is not None) for m, t in zip(context.members, targets, strict=True)]
    hidden = context.visible(view, model.start.geometry.image_size_angstrom) & torch.cat(taking_part) & ~seen
    lit = 1 - hidden.double().sum(0) / (hidden | seen).sum(0).clamp(min=1)
    credence = Credence.of(posterior.held_out, posterior.held_out_cost, posterior.power, lit)
    believed = seen & (credence.particle_probability(context.false_fraction) > 1 / 2)[:, None]
    with torch.no_grad():
        change = Deviation.between(view, model(), believed)
    moved = _change_in_errors(model, before, posterior.hyper_error)
    return Fit(outcome, objective.amplitude, change, moved, posterior, credence, seen, believed, search)


def _change_in_errors(model: SeriesModel, before: Mapping[str, Tensor], errors: Float[Tensor, " hyper"]) -> float:
    """Largest change of a block that acts on the optics, in standard errors, root mean square over the block.

    ``before`` are the physical values of the active blocks.
    """
    optics = [(block, part) for block, part in model.split(errors) if block.moves]
    changes = [(block.physical() - before[block.name]) / block.in_units(part) for block, part in optics]
    return max((float(change.square().mean().sqrt()) for change in changes), default=0.0)


def match(
    model: SeriesModel,
    images: TiltImages,
    context: SeriesContext,
    targets: Sequence[Target | None],
    batch_bytes: int = USUAL_BYTES,
    defocus_reach_um: float = 0.0,
    held: bool = False,
) -> Matches:
    """Put the images of all particles beside the references of their species, ``batch_bytes`` at once.

    With a ``defocus_reach_um`` they can be looked at so much farther from focus than at the cut; ``held`` says that no
    parameter will change after it.
    """
    species = sum(target is not None for target in targets)
    parts: list[Match | Tensor] = []
    for k, (members, target) in enumerate(zip(context.members, targets, strict=True)):
        if target is None or not len(members.group):
            parts.append(torch.zeros(len(members.group), len(context.use_tilt), dtype=torch.bool))
            continue
        request = _request(model, members, target, held, defocus_reach_um)
        batches = cut(model, images, context, k, request, batch_bytes // species)
        parts.append(Match(batches, target.table, members.group))
    return Matches(parts)


def _request(
    model: SeriesModel, members: Members, target: Target, held: bool = False, defocus_reach_um: float = 0.0
) -> ImageRequest:
    return ImageRequest(
        target.tight_angstrom,
        target.resolution_angstrom,
        quadrature=model.changes_ctf and not held,
        coordinates=() if held else model.coordinates,
        ewald_hand=members.hand_at(target.resolution_angstrom),
        defocus_reach_um=defocus_reach_um,
    )


def whole_batch_bytes(model: SeriesModel, context: SeriesContext, targets: Sequence[Target | None]) -> int:
    """Size of the batches in which a fit has all images of a series at once."""
    tilts = len(context.use_tilt)
    sizes = [
        len(members.group) * tilts * _request(model, members, target).bytes_per_image()
        for members, target in zip(context.members, targets, strict=True)
        if target is not None
    ]
    return math.ceil(len(sizes) * max(sizes, default=0.0))


@torch.no_grad()
def cut(
    model: SeriesModel, images: TiltImages, context: SeriesContext, species: int, request: ImageRequest, at_once: int
) -> ImageBatches:
    """Cut out all particles of a species at the present parameters, as many at once as fit into some bytes."""
    view, imaging, rows = model(), model.imaging(), context.rows(species)
    visible = context.visible(view, imaging.geometry.image_size_angstrom) & images.lit(view.xy_angstrom)
    numbers, visible = torch.arange(len(visible))[rows], visible[rows]
    weighted = weigh(images, request.resolution_angstrom)

    def of(some: Int[Tensor, " some"]) -> ParticleImages:
        part = view.of(numbers[some])
        return premultiply(images, imaging.optics, part.xy_angstrom, part.defocus_um, visible[some], request, weighted)

    bytes_each = request.bytes_per_image() * visible.shape[1]
    return ImageBatches(of, visible, max(1, int(at_once / bytes_each)))


def _to_be_searched(model: SeriesModel) -> Defocus | None:
    """Return the block of the defocus if it is refined and wants to be searched."""
    blocks = (block for block in model.active_blocks if isinstance(block, Defocus))
    return next((block for block in blocks if block.search_um > 0), None)


def _search(defocus: Defocus, matches: Matches, view: View, context: SeriesContext) -> DefocusSearch:
    prior = DefocusPrior(defocus.in_units(defocus.raw.detach()), defocus.in_units(defocus.prior.width()))
    return search_defocus(matches, view, context.amplitude_prior, prior, defocus.search_um)


def relative_amplitude(amplitude: Float[Tensor, " tilt"], prior: Float[Tensor, " tilt"]) -> Float[Tensor, " tilt"]:
    """Amplitudes scaled so that, over the tilts in use, their power relative to the prior's averages one.

    The scale between maps and images is a matter of units; only the differences between tilts are weights.
    """
    used = prior > 0
    ratio = (amplitude[used] / prior[used]).square().mean().sqrt()
    return torch.where(used, amplitude / ratio.clamp(min=1e-3), torch.zeros_like(amplitude))


def add_to_maps(
    sums: FourierSums,
    model: SeriesModel,
    images: TiltImages,
    context: SeriesContext,
    species: int,
    amplitude: Float[Tensor, " tilt"],
    weight: Float[Tensor, "particle tilt"],
    box_angstrom: float,
    batch_bytes: int = BYTES_PER_INSERTION,
) -> None:
    """Add all particles of a species in a series to its sums, with amplitudes and weights, a few at a time.

    ``batch_bytes`` says how much of its premultiplied images may be held at once.
    """
    members, rows = context.members[species], context.rows(species)
    if not len(members.group):
        return
    with torch.no_grad():
        view = model().of(torch.arange(len(weight))[rows])
    detail, weight = sums.resolution_angstrom, weight[rows]
    request = ImageRequest(box_angstrom, detail, ewald_hand=members.hand_at(detail))
    for some, part in cut(model, images, context, species, request, min(batch_bytes, BYTES_PER_INSERTION)):
        insert_particles(sums, part, view.of(some), members.group[some], amplitude, weight[some])
