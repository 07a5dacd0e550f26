"""Contrast transfer and radiation damage on a grid."""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mlit.optics.ctf import Optics, ctf, wrapped_phase_aberration
from mlit.optics.dose import bfactor_envelope, critical_exposure_envelope
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
    magnification
        Matrix on the Fourier coordinates of each molecule: the pixel k shows what belongs at ``M k``.
    amplitude, bfactor_angstrom2, anisotropy_angstrom2
        Strength of the signal besides; negative B factors are decay. Towards the direction θ they are weaker by
        d cos 2(θ - φ); the anisotropy is d cos 2φ and d sin 2φ.
    """

    optics: Optics
    dose: float
    magnification: Float[Tensor, "2 2"] = field(default_factory=lambda: torch.eye(2, dtype=torch.float64))
    amplitude: float = 1.0
    bfactor_angstrom2: float = 0.0
    anisotropy_angstrom2: tuple[float, float] = (0.0, 0.0)

    def on_grid(
        self, grid: PatchGrid, defocus_um: Float[Tensor, " particle"]
    ) -> Float[Tensor, "particle y xhalf"] | Complex[Tensor, "particle y xhalf"]:
        """CTF at each particle's own defocus, times the amplitudes that the dose has left, in single precision.

        Odd aberrations make it complex. Their phase is the one that corrects images, so here it enters with a
        minus sign.
        """
        frequency = grid.frequency_xy()
        gamma = wrapped_phase_aberration(frequency, defocus_um[:, None], self.optics)[:, 0]
        damage = critical_exposure_envelope(frequency.norm(dim=-1), torch.tensor(self.dose))
        left = damage * bfactor_envelope(frequency.norm(dim=-1), torch.tensor(self.bfactor_angstrom2)) * self.amplitude
        x, y = frequency.unbind(-1)
        along, across = self.anisotropy_angstrom2
        turned = torch.exp((along * (x.square() - y.square()) + across * 2 * x * y) / 4)
        transfer = ctf(gamma) * (left * turned).float()
        if not self.optics.zernike_odd_rad.any():
            return transfer
        odd = -self.optics.odd_phase(frequency).float()
        return transfer * torch.polar(torch.ones_like(odd), odd)


def transfer_of_tilt(
    optics: Optics,
    tilt: int,
    dose: float,
    magnification: Float[Tensor, "2 2"],
    amplitude: float = 1.0,
    bfactor_angstrom2: float = 0.0,
    anisotropy_angstrom2: tuple[float, float] = (0.0, 0.0),
) -> TiltTransfer:
    """Pick one tilt of a series."""
    one = slice(tilt, tilt + 1)
    return TiltTransfer(
        replace(
            optics,
            astigmatism_um=optics.astigmatism_um[one],
            phase_shift_rad=optics.phase_shift_rad[one],
        ),
        dose,
        magnification,
        amplitude,
        bfactor_angstrom2,
        anisotropy_angstrom2,
    )
