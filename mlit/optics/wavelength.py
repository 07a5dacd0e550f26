"""Wavelength of the imaging electrons."""

import math


def electron_wavelength_angstrom(voltage_kv: float) -> float:
    """Relativistic de Broglie wavelength in Å.

    ``12.2643247 / √(V (1 + 0.978466e-6 V))`` with V in volts, the constants that Warp uses.

    Raises
    ------
    ValueError
        If the voltage is not positive.
    """
    if not voltage_kv > 0:
        raise ValueError(f"the acceleration voltage must be positive, not {voltage_kv} kV")
    volts = 1e3 * voltage_kv
    return 12.2643247 / math.sqrt(volts * (1 + 0.978466e-6 * volts))
