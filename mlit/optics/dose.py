"""Loss of amplitude with exposure and with B-factors."""

import torch
from jaxtyping import Float
from torch import Tensor


def critical_exposure(frequency: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Exposure in e/Å² after which ``1/e`` of the signal's power is left.

    Grant and Grigorieff (2015) at 300 kV: ``0.245 k^-1.665 + 2.81``; very large but finite at zero frequency.

    Parameters
    ----------
    frequency
        Magnitude in 1/Å.
    """
    return 0.245 * frequency.clamp(min=1e-12) ** -1.665 + 2.81


def critical_exposure_envelope(frequency: Float[Tensor, "..."], dose: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Amplitude left after an exposure, ``exp(-dose / (2 N_e(k)))``; 1 at zero frequency.

    Parameters
    ----------
    frequency
        Magnitude in 1/Å, broadcast against ``dose``.
    dose
        Accumulated exposure in e/Å².
    """
    return torch.exp(-dose / (2 * critical_exposure(frequency)))


def bfactor_envelope(frequency: Float[Tensor, "..."], bfactor_angstrom2: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Amplitude ``exp(B k² / 4)``; negative B is decay, as in Warp's files.

    Parameters
    ----------
    frequency
        Magnitude in 1/Å, broadcast against the B-factor.
    bfactor_angstrom2
        B-factor in Å².
    """
    return torch.exp(bfactor_angstrom2 / 4 * frequency**2)
