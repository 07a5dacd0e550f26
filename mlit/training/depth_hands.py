"""The sign of depth in the defocus, tested on the images of a project as it stands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mlit.deformation.series_model import SeriesModel
from mlit.fourier.insertion import FourierSums
from mlit.likelihood.depth_hand import Fit, HandEvidence, compare, log_likelihood_ratio
from mlit.likelihood.premultiply import ImageRequest
from mlit.likelihood.tilt_images import TiltImages
from mlit.maps.references import HalfMaps, ReferenceSettings, half_maps, reference_maps, reference_table
from mlit.project.project import Project, SeriesInput
from mlit.training.data import TiltSeriesDataset
from mlit.training.memory import USUAL
from mlit.training.series_setup import Species, SpeciesInput, make_context, make_model, map_box
from mlit.training.series_step import BYTES_PER_INSERTION, SeriesContext, add_to_maps, cut

FINEST_ANGSTROM = 8.0  # finer detail would cost time, and depth shows before
SAME_POSES = {
    "position_prior_angstrom": 1.0,
    "rotation_prior_deg": 1.0,
    "temporal_samples": 1,
    "motion_prior_angstrom": 1.0,
    "motion_prior_deg": 1.0,
}  # nothing is refined, but a model is not made without


@dataclass(frozen=True)
class HandTest:
    """What the images say about the sign of depth.

    Attributes
    ----------
    series
        Evidence of each series whose images could be read.
    together
        Evidence of all particles.
    resolution_angstrom
        How far the half maps agree: finer detail had no say.
    depth_angstrom
        Root mean square, over particles and tilts, of the distance from the focus of the tilt.
    """

    series: dict[str, HandEvidence]
    together: HandEvidence
    resolution_angstrom: float
    depth_angstrom: float


@dataclass(frozen=True)
class _Sided:
    """A series with one sign of depth."""

    model: SeriesModel
    context: SeriesContext


def compare_hands(
    project: Project, species: Species, references: ReferenceSettings, particles_per_series: int, seed: int = 0
) -> HandTest:
    """Reconstruct with both signs of depth and see which one suits the images of the other half set better.

    Parameters
    ----------
    project
        The project.
    species
        The molecule.
    references
        How references are made; half sets share nothing here whatever it says.
    particles_per_series
        Particles of each series that are looked at, drawn at random, at most.
    seed
        Of the draw.
    """
    thinned = tuple(_thinned(series, project, particles_per_series, seed) for series in project.series)
    dataset = TiltSeriesDataset([replace(project, series=thinned)], species.diameter_angstrom, USUAL.cache_bytes)
    group = torch.from_numpy(project.particles.half_set) - 1
    sides = {series.name: _both_signs(series, project, group, species) for series in thinned}
    apart = replace(references, shared_resolution_angstrom=0.0)
    pixel = max(project.pixel_size_angstrom, FINEST_ANGSTROM / 2)
    box = map_box(apart, pixel)
    sums = FourierSums.zeros(2, box, pixel, 2 * pixel)
    for name, images in _readable(dataset):
        for side in sides[name]:
            amplitude = side.context.amplitude_prior
            weight = torch.ones(len(side.context.members[0].group), len(amplitude))
            add_to_maps(sums, side.model, images, side.context, 0, amplitude, weight, box * pixel)
    halves = half_maps(sums, species.map_symmetry, apart, seed=seed)
    maps = reference_maps(sums, halves, species.map_symmetry, apart)
    scores = {
        name: _difference(sides[name], images, maps, sums, halves, apart.tight_angstrom)
        for name, images in _readable(dataset)
    }
    count = sum(len(one) for one in scores.values())
    return HandTest(
        {name: HandEvidence.of(one, count) for name, one in scores.items()},
        HandEvidence.of(torch.cat(list(scores.values())), count),
        halves.significant_resolution_angstrom,
        _depth([sides[name][0] for name in scores]),
    )


def _thinned(series: SeriesInput, project: Project, most: int, seed: int) -> SeriesInput:
    """Keep some particles that count, of both half sets alike."""
    rows = series.particle_index.numpy()
    rows = rows[project.particles.weight[rows] > 0]
    drawn = np.random.default_rng(seed).permutation(rows)
    half = project.particles.half_set[drawn]
    kept = np.concatenate([drawn[half == number][: max(1, most // 2)] for number in (1, 2)])
    return replace(series, particle_index=torch.from_numpy(np.sort(kept)))


def _both_signs(series: SeriesInput, project: Project, group: Tensor, species: Species) -> tuple[_Sided, _Sided]:
    """Set a series up with the stated sign of depth and with the opposite one."""

    def with_sign(inverted: bool) -> _Sided:
        one = replace(series, geometry=replace(series.geometry, depth_inverted=inverted))
        inputs = [SpeciesInput(species, one, project.particles, group)]
        return _Sided(make_model(inputs, {"poses": SAME_POSES}), make_context(inputs))

    stated = series.geometry.depth_inverted
    return with_sign(stated), with_sign(not stated)


def _readable(dataset: TiltSeriesDataset) -> Iterator[tuple[str, TiltImages]]:
    for number in range(len(dataset)):
        batch = dataset[number]
        if batch.images is not None:
            yield batch.name, batch.images


def _difference(
    sides: tuple[_Sided, _Sided],
    images: TiltImages,
    maps: Tensor,
    sums: FourierSums,
    halves: HalfMaps,
    tight_angstrom: float,
) -> Tensor:
    """Compare particles with the map of the other half set: stated sign minus opposite one."""
    detail = max(halves.significant_resolution_angstrom, sums.resolution_angstrom)
    table = reference_table(maps, sums.pixel_size_angstrom, detail)
    request = ImageRequest(tight_angstrom, detail)
    fits = []
    for side in sides:
        with torch.no_grad():
            view = side.model()
        other = 1 - side.context.members[0].group
        parts = [
            compare(batch, view.of(some), table, other[some])
            for some, batch in cut(side.model, images, side.context, 0, request, BYTES_PER_INSERTION)
        ]
        fits.append(Fit(torch.cat([part.cross for part in parts]), torch.cat([part.power for part in parts])))
    return log_likelihood_ratio(*fits)


def _depth(sides: Sequence[_Sided]) -> float:
    """Root mean square distance from the focus of the tilt in Å."""
    with torch.no_grad():
        offsets = [
            (side.model().defocus_um - side.model.start.geometry.defocus_um)[:, side.context.use_tilt].flatten()
            for side in sides
        ]
    return 1e4 * float(torch.cat(offsets).square().mean().sqrt())
