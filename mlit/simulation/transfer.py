"""Contrast transfer and radiation damage on a grid."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from mlit.optics.ctf import Optics, ctf, wrapped_phase_aberration
from mlit.optics.dose import critical_exposure_envelope
from mlit.simulation.splat import PatchGrid


@dataclass(frozen=True)
class TiltTransfer:
    """What forms one tilt's image.

    Attributes
    ----------
    optics
        Optics with the values of this tilt only.
    dose
        Exposure received by the middle of the tilt in e/Å².
    """

    optics: Optics
    dose: float

    def on_grid(self, grid: PatchGrid, defocus_um: Float[Tensor, " particle"]) -> Float[Tensor, "particle y xhalf"]:
        """CTF at each particle's own defocus, times the amplitudes that the dose has left; float32."""
        frequency = grid.frequency_xy()
        gamma = wrapped_phase_aberration(frequency, defocus_um[:, None], self.optics)[:, 0]
        damage = critical_exposure_envelope(frequency.norm(dim=-1), torch.tensor(self.dose))
        return ctf(gamma) * damage.float()


def transfer_of_tilt(optics: Optics, tilt: int, dose: float) -> TiltTransfer:
    """Pick one tilt of a series."""
    one = slice(tilt, tilt + 1)
    return TiltTransfer(
        replace(
            optics,
            astigmatism_um=optics.astigmatism_um[one],
            astigmatism_angle_rad=optics.astigmatism_angle_rad[one],
            phase_shift_rad=optics.phase_shift_rad[one],
        ),
        dose,
    )
