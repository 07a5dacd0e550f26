"""Strength of the signal as RELION has it: scale factors and B factors of the tilts.

RELION multiplies the CTF of a tilt by ``scale exp(-B k² / 4)``, and damps with exposure: by ``exp(-b dose k² / 4)``
where the tomogram has a B factor for each electron, else by the critical exposure.
"""

import logging

import numpy as np
import torch

from mlit.errors import InputError
from mlit.io.relion5.tilt_series import EXPOSURE, TiltTable
from mlit.io.relion5.tomograms import DOSE_BFACTOR, Tomogram
from mlit.likelihood.signal_weights import LEAST_DECAY, SignalWeights

LOG = logging.getLogger("mlit")
SCALE, BFACTOR = "rlnCtfScalefactor", "rlnCtfBfactor"
_USUAL_DECAY = 4.0  # Å² for each e/Å², about what the critical exposure is at intermediate resolution


def relion_weights(tomogram: Tomogram, tilts: TiltTable, order: np.ndarray) -> SignalWeights | None:
    """Return the weights of a series; None where the files say nothing about them.

    Raises
    ------
    InputError
        If a scale factor is negative.
    """
    scale = tilts.numbers(SCALE, 1.0)[order]
    if (scale < 0).any():
        row = int(order[int(np.flatnonzero(scale < 0)[0])]) + 1
        raise InputError(f"{tilts.path}: row {row}: {SCALE} is negative; estimate it again")
    bfactor, per_dose = tilts.numbers(BFACTOR, 0.0)[order], tomogram.number_of(DOSE_BFACTOR, 0.0)
    amplitude = torch.from_numpy(scale) if np.ptp(scale) > 0 else None
    uneven = float(np.ptp(bfactor)) > 0
    if amplitude is None and not uneven and not bfactor.any() and per_dose <= 0:
        return None
    if per_dose <= 0 and not uneven:
        return SignalWeights(series_bfactor_angstrom2=-float(bfactor[0]), tilt_amplitude=amplitude)
    if per_dose <= 0:
        LOG.warning(
            "%s: %s differs between tilts; the critical exposure is replaced by a decay of %g Å² for each e/Å²",
            tomogram.name,
            BFACTOR,
            _USUAL_DECAY,
        )
    elif per_dose < LEAST_DECAY:
        LOG.warning("%s: %s of %g is taken as %g, the least", tomogram.name, DOSE_BFACTOR, per_dose, LEAST_DECAY)
    decay = max(per_dose, LEAST_DECAY) if per_dose > 0 else _USUAL_DECAY
    total = -(bfactor + decay * tilts.numbers(EXPOSURE)[order])
    return SignalWeights(tilt_amplitude=amplitude, tilt_bfactor_angstrom2=torch.from_numpy(total))


def relion_factors(
    weights: SignalWeights, tilt_angle_rad: torch.Tensor, dose: torch.Tensor
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return scale factor and B factor of every tilt, and the B factor for each electron (0: none), for RELION."""
    scale = weights.amplitude(tilt_angle_rad).numpy()
    series = weights.series_bfactor_angstrom2
    if weights.tilt_bfactor_angstrom2 is None:
        return scale, np.full(len(dose), -series), 0.0
    floor = -LEAST_DECAY * dose
    own = weights.tilt_bfactor_angstrom2.to(dose).minimum(floor)
    return scale, (floor - own - series).numpy(), LEAST_DECAY
