"""Figures of an iteration under way, as scalars with names that say quantity, what it is of, and unit."""

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from mlit.deformation.series_model import SeriesModel
from mlit.training.series_status import SeriesStatus, summary_of_fits

Values = Mapping[str, Mapping[str, Tensor]]  # physical values of each block, by series


def block_values(models: Mapping[str, SeriesModel]) -> Values:
    """Deviations of all blocks from the start, in physical units."""
    return {name: {block.name: block.physical() for block in model.block_list} for name, model in models.items()}


def block_scalars(
    models: Mapping[str, SeriesModel], errors: Mapping[str, Mapping[str, Tensor]], before: Values
) -> dict[str, float]:
    """Root mean squares over all parameters of each refined block, in all series that have refined it.

    Parameters
    ----------
    models
        Parameters of each series.
    errors
        Standard errors of the raw parameters by series and block, covariances for ``poses``; of refined blocks only.
    before
        Values before the iteration, for how far it went; what is not there, or of another size, is not compared.

    Returns
    -------
    ``since_start``, ``change``, ``standard_error`` and ``prior_width`` of each block, as ``QUANTITY/BLOCK_UNIT``.
    """
    parts: dict[str, list[Tensor]] = {}
    for series, model in models.items():
        known = errors.get(series, {})
        for block in model.block_list:
            if block.name not in known:
                continue
            now, old = block.physical(), before.get(series, {}).get(block.name)
            found = {
                "since_start": now,
                "standard_error": block.in_units(known[block.name]),
                "prior_width": block.in_units(block.prior.width()),
            }
            if old is not None and old.shape == now.shape:
                found["change"] = now - old
            for quantity, values in found.items():
                parts.setdefault(f"{quantity}/{block.name}_{block.unit}", []).append(values.flatten())
    return {name: _rms(torch.cat(values)) for name, values in parts.items()}


def pose_scalars(
    models: Mapping[str, SeriesModel], errors: Mapping[str, Mapping[str, Tensor]], species: int, name: str
) -> dict[str, float]:
    """Root mean squares of the poses of a species over all series that have refined them, along each axis.

    Arguments are those of :func:`block_scalars`, with number and name of the species.
    """
    parts: dict[str, list[Tensor]] = {}
    for series, model in models.items():
        if "poses" not in errors.get(series, {}):
            continue
        poses, raw = model.poses.of_species(species, model.poses.raw.detach())
        _, covariance = model.poses.of_species(species, errors[series]["poses"])
        if not len(raw):
            continue
        one = torch.eye(raw.shape[1], dtype=raw.dtype).expand(len(raw), -1, -1)
        found = {
            "since_start": poses.deviation(raw),
            "standard_error": poses.errors(covariance),
            "prior_width": poses.errors(one),
        }
        for quantity, (shift, turn) in found.items():
            parts.setdefault(f"{quantity}/position_angstrom/{name}", []).append(shift.flatten())
            parts.setdefault(f"{quantity}/rotation_deg/{name}", []).append(turn.rad2deg().flatten())
    return {tag: _rms(torch.cat(values)) for tag, values in parts.items()}


def fit_scalars(statuses: Mapping[str, SeriesStatus]) -> dict[str, float]:
    """Movement in the images and expected error (root mean squares), and gain and held-out score of each series."""
    fitted = {name: status for name, status in statuses.items() if status.passes and status.images}
    if not fitted:
        return {}
    images = sum(status.images for status in fitted.values())
    together, found = summary_of_fits(fitted.values()), {}
    for quantity in ("position_angstrom", "rotation_deg", "defocus_nm"):
        moved = sum(one.images * getattr(one.change, quantity) ** 2 for one in fitted.values()) / images
        found[f"change/images_{quantity}"] = math.sqrt(moved)
        found[f"expected_error/images_{quantity}"] = together["expected_error"][quantity]
    found["held_out_nats_per_image/all"] = together["held_out_log_likelihood"]
    return found | dict(_of_series(fitted))


def _of_series(fitted: Mapping[str, SeriesStatus]) -> Iterator[tuple[str, float]]:
    for name, status in fitted.items():
        yield f"gain_nats/{name}", status.log_posterior_end - status.log_posterior_start
        yield f"held_out_nats_per_image/{name}", status.held_out_log_likelihood / status.images


def _rms(values: Tensor) -> float:
    finite = values[torch.isfinite(values)]
    return float(finite.square().mean().sqrt()) if len(finite) else math.nan
