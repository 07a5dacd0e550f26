"""Values along the exposure: normalised dose and particle trajectories."""

import torch
from jaxtyping import Float
from torch import Tensor

MIDDLE = 0.5  # of the exposure, in normalised dose
_SAME_TIME = 1e-9  # normalised doses that differ by less are one
_CORRECTIONS = 30


def normalised_dose(dose: Float[Tensor, "tilt"]) -> Float[Tensor, "tilt"]:
    """Accumulated dose mapped to [0, 1] over all tilts of a series; 0 where all doses are equal."""
    low = dose.amin()
    span = dose.amax() - low
    return (dose - low) / torch.where(span > 0, span, 1.0)


def _interior_slopes(left: Float[Tensor, "..."], right: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Harmonic mean of neighbouring secants, 0 where they disagree in sign (Fritsch and Butland)."""
    product = left * right
    agree = product > 0
    total = torch.where(agree, left + right, 1.0)
    return torch.where(agree, 2 * product / total, 0.0)


def _end_slope(nearest: Float[Tensor, "..."], next_one: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """One-sided three-point slope, limited so that the curve keeps the data's shape."""
    slope = (3 * nearest - next_one) / 2
    slope = torch.where(slope * nearest > 0, slope, 0.0)
    overshoots = (nearest * next_one < 0) & (slope.abs() > 3 * nearest.abs())
    return torch.where(overshoots, 3 * nearest, slope)


def _pchip_slopes(
    samples: Float[Tensor, "particle sample channel"],
) -> Float[Tensor, "particle sample channel"]:
    secants = samples[:, 1:] - samples[:, :-1]
    first = _end_slope(secants[:, 0], secants[:, 1])
    last = _end_slope(secants[:, -1], secants[:, -2])
    inner = _interior_slopes(secants[:, :-1], secants[:, 1:])
    return torch.cat([first[:, None], inner, last[:, None]], dim=1)


def evaluate_trajectory(
    samples: Float[Tensor, "particle sample channel"], dose_fraction: Float[Tensor, "tilt"]
) -> Float[Tensor, "particle tilt channel"]:
    """Interpolate temporal samples of particles (positions, or Euler angles component by component).

    Sample ``k`` of ``K`` sits at normalised dose ``k / (K - 1)``. The curve is the shape-preserving cubic of
    M (PCHIP as MATLAB defines it): constant for one sample, a straight line for two.

    Parameters
    ----------
    samples
        Values at the samples, any unit.
    dose_fraction
        Where to evaluate, in [0, 1]; see :func:`normalised_dose`.

    Returns
    -------
    Tensor
        Values in the unit of the samples.
    """
    count = samples.shape[1]
    if count == 1:
        return samples.repeat(1, dose_fraction.shape[0], 1)
    scaled = dose_fraction * (count - 1)
    lower = torch.floor(scaled).clamp(0, count - 2)
    index = lower.to(torch.int64)
    u = (scaled - lower)[:, None]
    left, right = samples[:, index], samples[:, index + 1]
    if count == 2:
        return left + u * (right - left)
    slopes = _pchip_slopes(samples)
    bend_left = slopes[:, index] - (right - left)
    bend_right = slopes[:, index + 1] - (right - left)
    return left + u * (right - left) + u * (1 - u) * ((1 - u) * bend_left - u * bend_right)


def sample_times(count: int) -> Float[Tensor, " sample"]:
    """Normalised dose of the samples of a trajectory; that of a single one, which holds for all, is the middle."""
    if count == 1:
        return torch.full((1,), MIDDLE, dtype=torch.float64)
    return torch.linspace(0, 1, count, dtype=torch.float64)


def resample_trajectory(
    samples: Float[Tensor, "particle old channel"], count: int
) -> Float[Tensor, "particle new channel"]:
    """Evaluate trajectories at the times of another number of samples."""
    if samples.shape[1] == count:
        return samples
    return evaluate_trajectory(samples, sample_times(count).to(samples))


def samples_through(
    values: Float[Tensor, "particle tilt channel"], dose_fraction: Float[Tensor, "tilt"], count: int
) -> Float[Tensor, "particle sample channel"]:
    """Find samples of trajectories that take given values in every tilt, as far as so many samples can.

    Where each tilt has a sample at its own dose they do so exactly. Else what is missing at the tilts is added at the
    samples around them, as long as it helps.

    Parameters
    ----------
    values
        Wanted values.
    dose_fraction
        Of each tilt, see :func:`normalised_dose`.
    count
        Number of samples, at least 2.
    """
    order = dose_fraction.argsort()
    known, time = dose_fraction[order], torch.linspace(0, 1, count, dtype=values.dtype)
    upper = torch.searchsorted(known.contiguous(), time - _SAME_TIME).clamp(1, len(known) - 1)
    gap = (known[upper] - known[upper - 1]).clamp(min=_SAME_TIME)
    weight = ((time - known[upper - 1]) / gap).clamp(0, 1)[:, None]
    samples = best = torch.zeros(len(values), count, values.shape[2], dtype=values.dtype)
    least = torch.inf
    for _ in range(_CORRECTIONS):
        missing = (values - evaluate_trajectory(samples, dose_fraction))[:, order]
        if float(missing.square().sum()) >= least:
            break
        least, best = float(missing.square().sum()), samples
        samples = samples + missing[:, upper - 1] * (1 - weight) + missing[:, upper] * weight
    return best


def continuous_euler(euler_rad: Float[Tensor, "particle sample 3"]) -> Float[Tensor, "particle sample 3"]:
    """Give every sample of a trajectory the Euler angles nearest to those before it.

    Readers interpolate the three angles one by one, so a jump by a turn or to the other triple of the same rotation
    (rot + π, -tilt, psi + π) would turn the particle around on its way.
    """
    out = [euler_rad[:, 0]]
    half, turn = torch.pi, 2 * torch.pi
    for now in euler_rad.unbind(1)[1:]:
        other = torch.stack([now[:, 0] + half, -now[:, 1], now[:, 2] + half], -1)
        twins = torch.stack([now, other])
        twins = twins - turn * torch.round((twins - out[-1]) / turn)
        nearest = (twins - out[-1]).abs().sum(-1).argmin(0)
        out.append(twins[nearest, torch.arange(len(now))])
    return torch.stack(out, 1)
