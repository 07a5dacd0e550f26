"""Motion of particles from tilt to tilt, as samples over the exposure."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from mlit.geometry.trajectory import evaluate_trajectory, normalised_dose, samples_through
from mlit.io.particle_table import ParticleTable
from mlit.project.project import SeriesInput

LOG = logging.getLogger("mlit")
SMALL_ANGSTROM = 0.01  # rms
_LARGEST = 4  # samples for each tilt


def with_motion(table: ParticleTable, series: Sequence[SeriesInput], motion: dict[str, np.ndarray]) -> ParticleTable:
    """Return particles that move as their trajectories say.

    All get the same number of samples: as few as let every series keep its motion.

    Parameters
    ----------
    table : ParticleTable
        Particles at rest.
    series : sequence of SeriesInput
        Those that can be used.
    motion : dict of str to ndarray "particle tilt 3"
        What is added to the positions of the particles of each series in its tilts, in Å.
    """
    if not series or not any(np.abs(values).max(initial=0) > 0 for values in motion.values()):
        return table
    most = max(one.geometry.tilts for one in series)
    found, samples = {}, most
    for samples in _counts(series, most):
        found = {one.name: _samples(motion[one.name], one, samples) for one in series}
        if all(rest < SMALL_ANGSTROM for _, rest in found.values()):
            break
    position = np.repeat(table.position_angstrom[:, :1], samples, axis=1)
    for one in series:
        shift, rest = found[one.name]
        position[one.particle_index.numpy()] += shift
        if rest >= SMALL_ANGSTROM:
            LOG.warning("%s: trajectories are kept to %.3f Å rms; its tilts share exposures", one.name, rest)
    LOG.info("trajectories of RELION are now %d positions of each particle over the exposure", samples)
    return replace(table, position_angstrom=position, euler_deg=np.repeat(table.euler_deg[:, :1], samples, axis=1))


def _counts(series: Sequence[SeriesInput], most: int) -> list[int]:
    """Numbers of samples to try: one for each tilt, one for each step of the exposure, and more."""
    gaps = []
    for one in series:
        steps = normalised_dose(one.geometry.dose).unique().diff()
        gaps.append(float(steps.min()) if len(steps) else 1.0)
    by_step = round(1 / min(gaps)) + 1
    tried = [most, by_step, *(k * most for k in range(2, _LARGEST + 1))]
    return sorted({max(2, count) for count in tried if count <= _LARGEST * most})


def _samples(motion: np.ndarray, series: SeriesInput, count: int) -> tuple[np.ndarray, float]:
    """Turn the motion into samples; return the rms of what they cannot follow too."""
    values, time = torch.from_numpy(motion), normalised_dose(series.geometry.dose)
    samples = samples_through(values, time, count)
    rest = evaluate_trajectory(samples, time) - values
    return samples.numpy(), float(rest.square().sum(-1).mean().sqrt())
