"""Weights of all series from the images of an iteration, for the iterations that follow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from mlit.deformation.series_model import SeriesModel
from mlit.errors import InputError
from mlit.likelihood.signal_quality import SignalQuality
from mlit.likelihood.signal_table import Rings, Sorting, tabulate
from mlit.likelihood.signal_weights import SignalWeights
from mlit.likelihood.tilt_images import TiltImages
from mlit.likelihood.weights_estimate import WeightsEstimate, WeightsRequest, estimate_weights
from mlit.likelihood.weights_problem import SeriesSignal
from mlit.training.series_record import SeriesRecord
from mlit.training.series_step import SeriesContext, Target, match


def make_request(per_series: bool, per_tilt: bool, grid: Sequence[int] | None, anisotropic: bool) -> WeightsRequest:
    """Read the config group ``weights``.

    Raises
    ------
    InputError
        If the grid is impossible.
    """
    if grid is None:
        return WeightsRequest(per_series, per_tilt, None, anisotropic)
    if len(grid) != 2 or not all(isinstance(nodes, int) and nodes > 1 for nodes in grid):
        raise InputError(f"weights.grid={list(grid)}: give the nodes along x and y, at least 2 each")
    return WeightsRequest(per_series, per_tilt, (grid[0], grid[1]), anisotropic)


@dataclass
class Weighing:
    """Gathers what the images of the series say about their signal, and turns it into weights.

    Attributes
    ----------
    request
        What is estimated.
    signals
        What was gathered in the epoch under way; changes in place.
    found
        The last estimate of every series; changes in place.
    """

    request: WeightsRequest
    signals: dict[str, SeriesSignal] = field(default_factory=dict)
    found: dict[str, WeightsEstimate] = field(default_factory=dict)

    def gather(
        self,
        name: str,
        model: SeriesModel,
        images: TiltImages,
        context: SeriesContext,
        record: SeriesRecord,
        targets: Sequence[Target | None],
        batch_bytes: int,
    ) -> None:
        """Compare the images of a series with the references at the present parameters, in place.

        ``batch_bytes`` says how much of its premultiplied images is held at once.
        """
        with torch.no_grad():
            view, geometry = model(), model.start.geometry
        finest = min(target.resolution_angstrom for target in targets if target is not None)
        rings, cells = self._rings(finest), self.request.cells
        place = cells.of(view.xy_angstrom / geometry.image_size_angstrom)
        weight = record.credence.particle_weight(context.false_fraction)
        matches = match(model, images.flat(), context, targets, batch_bytes, held=True)
        sums = tabulate(matches, view, Sorting(rings, place, cells.count, weight))
        if record.followed_noise is not None:
            frequency = rings.centres().norm(dim=-1)
            scale = record.amplitude[:, None] * images.envelope(frequency.float()).double()
            sums = sums.without_noise(weight @ record.followed_noise, scale, frequency)
        self.signals[name] = SeriesSignal(sums, geometry.dose, geometry.tilt_angle_rad)

    def _rings(self, resolution_angstrom: float) -> Rings:
        sectors = Rings.SECTORS if self.request.anisotropic else 1
        return Rings(1 / resolution_angstrom, sectors=sectors)

    def estimate(self, resolution_angstrom: float) -> None:
        """Turn what was gathered into weights, in place."""
        if self.signals:
            rings = self._rings(resolution_angstrom)
            estimates = estimate_weights(list(self.signals.values()), rings, self.request)
            self.found |= dict(zip(self.signals, estimates, strict=True))
            self.signals = {}

    def weigh(
        self, contexts: Mapping[str, SeriesContext], model: Callable[[str], SeriesModel]
    ) -> dict[str, SeriesContext]:
        """Return the constants of all series with their weights; as they were where none were estimated."""
        return {name: self._weighed(name, context, model(name)) for name, context in contexts.items()}

    def _weighed(self, name: str, context: SeriesContext, model: SeriesModel) -> SeriesContext:
        if name not in self.found:
            return context
        weights = self.found[name].weights
        amplitude = weights.amplitude(model.start.geometry.tilt_angle_rad)
        return replace(context, weights=weights, amplitude_prior=amplitude.where(context.use_tilt, 0))

    def as_expected(
        self, records: Mapping[str, SeriesRecord], contexts: Mapping[str, SeriesContext]
    ) -> dict[str, SeriesRecord]:
        """Return the records of all series with the amplitudes that their new weights make one expect."""
        new = {name: replace(records[name], amplitude=contexts[name].amplitude_prior) for name in self.found}
        return {**records, **new}

    def as_mapping(self) -> dict[str, Any]:
        """Plain values and tensors, for files."""
        return {name: tuple(vars(part) for part in vars(one).values()) for name, one in self.found.items()}

    def restore(self, values: Mapping[str, Any]) -> None:
        """Undo :meth:`as_mapping`, in place."""
        self.found = {}
        for name, (weights, in_files, errors, quality) in values.items():
            strengths = (SignalWeights(**part) for part in (weights, in_files, errors))
            self.found[name] = WeightsEstimate(*strengths, quality=SignalQuality(**quality))
