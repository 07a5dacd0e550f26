import math

import pytest

from mlit.optics.wavelength import electron_wavelength_angstrom


@pytest.mark.parametrize(("voltage_kv", "expected"), [(100.0, 0.0370144), (200.0, 0.0250793), (300.0, 0.0196875)])
def test_tabulated_wavelengths(voltage_kv, expected):
    assert electron_wavelength_angstrom(voltage_kv) == pytest.approx(expected, rel=1e-5)


def test_agrees_with_de_broglie():
    planck, mass, charge, light = 6.62607015e-34, 9.1093837e-31, 1.602176634e-19, 299792458.0
    energy = 120e3 * charge
    momentum = math.sqrt(2 * mass * energy * (1 + energy / (2 * mass * light**2)))
    assert electron_wavelength_angstrom(120.0) == pytest.approx(planck / momentum * 1e10, rel=1e-5)


@pytest.mark.parametrize("voltage_kv", [0.0, -300.0, math.nan])
def test_senseless_voltages_are_refused(voltage_kv):
    with pytest.raises(ValueError, match="voltage"):
        electron_wavelength_angstrom(voltage_kv)
