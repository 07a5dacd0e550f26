"""Electrostatic potential of atoms, less the ice that they displace, and how strongly it bends the beam.

Sources: Peng et al. (1996) electron scattering factors at zero angle; Fraser, MacRae & Suzuki (1978)
displaced-solvent volumes; Kirkland, *Advanced Computing in Electron Microscopy*, interaction constant.
"""

from collections.abc import Sequence

import numpy as np

from mlit.errors import InputError
from mlit.optics.wavelength import electron_wavelength_angstrom

POTENTIAL_PER_SCATTERING_FACTOR = 47.878
"""h²/(2π m e) in V Å²: turns a scattering factor in Å into an integrated potential in V Å³."""

ICE_POTENTIAL_VOLT = 4.53
"""Mean inner potential of vitreous ice at 0.93 g/cm³: 47.878·(f_O + 2 f_H) per 32.2 Å³."""

PROTEIN_CONTRAST_VOLT = 3.2
"""Mean potential of protein (1.35 g/cm³, 1071 V Å³ in 137 Å³ per residue) less that of ice."""

RESIDUE_VOLUME_ANGSTROM3 = 134.0
"""Mean volume of an amino-acid residue."""

RESIDUE_STEP_ANGSTROM = 3.8
"""Distance of consecutive Cα atoms."""

_FACTOR_ANGSTROM = {
    "H": 0.529, "C": 2.509, "N": 2.211, "O": 1.983, "P": 5.488, "S": 5.161,
    "NA": 4.778, "MG": 5.207, "K": 8.984, "CA": 9.913, "FE": 7.165, "ZN": 6.065,
}  # fmt: skip
_VOLUME_ANGSTROM3 = {
    "H": 5.15, "C": 16.44, "N": 2.49, "O": 9.13, "P": 5.73, "S": 19.86,
    "NA": 4.5, "MG": 1.6, "K": 11.0, "CA": 4.2, "FE": 2.0, "ZN": 1.7,
}  # fmt: skip
_BOUND_HYDROGENS = {"C": 1.3, "N": 0.8, "O": 0.2}


def interaction_constant(voltage_kv: float) -> float:
    """Phase of the electron wave per projected potential, σ = 2π m e λ / h², in rad / (V Å).

    Written with relativistic mass as (2π / (λ V))·(m c² + e V)/(2 m c² + e V).
    """
    wavelength = float(electron_wavelength_angstrom(voltage_kv))
    voltage = voltage_kv * 1e3
    rest_energy = 510998.95
    return 2 * np.pi / (wavelength * voltage) * (rest_energy + voltage) / (2 * rest_energy + voltage)


def atom_potentials(elements: Sequence[str], implicit_hydrogens: bool) -> tuple[np.ndarray, np.ndarray]:
    """Integrated potential of each atom and of the ice that it displaces, both in V Å³.

    Parameters
    ----------
    elements
        Chemical symbols, any case.
    implicit_hydrogens
        Give C, N and O the mean number of hydrogens bound to them in proteins; for models without hydrogens.

    Raises
    ------
    InputError
        For an element that has no tabulated scattering factor.
    """
    symbols, index = np.unique(np.char.upper(np.asarray(elements, dtype=str)), return_inverse=True)
    unknown = [str(symbol) for symbol in symbols if str(symbol) not in _FACTOR_ANGSTROM]
    if unknown:
        known = ", ".join(_FACTOR_ANGSTROM)
        raise InputError(f"elements without a scattering factor: {', '.join(unknown)}; remove them (known: {known})")
    hydrogens = np.array([_BOUND_HYDROGENS.get(str(s), 0.0) * implicit_hydrogens for s in symbols])
    factor = np.array([_FACTOR_ANGSTROM[str(s)] for s in symbols]) + hydrogens * _FACTOR_ANGSTROM["H"]
    volume = np.array([_VOLUME_ANGSTROM3[str(s)] for s in symbols]) + hydrogens * _VOLUME_ANGSTROM3["H"]
    return (POTENTIAL_PER_SCATTERING_FACTOR * factor)[index], (ICE_POTENTIAL_VOLT * volume)[index]
