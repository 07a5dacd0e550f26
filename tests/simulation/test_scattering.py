import numpy as np
import pytest

from mlit.errors import InputError
from mlit.simulation.scattering import (
    PROTEIN_CONTRAST_VOLT,
    RESIDUE_VOLUME_ANGSTROM3,
    atom_potentials,
    interaction_constant,
)


@pytest.mark.parametrize(("voltage", "constant"), [(300.0, 6.526e-4), (200.0, 7.288e-4), (100.0, 9.244e-4)])
def test_interaction_constant_has_the_tabulated_values(voltage, constant):
    assert interaction_constant(voltage) == pytest.approx(constant, rel=1e-3)


def test_a_mean_residue_has_the_contrast_of_protein():
    count = {"C": 4.9, "N": 1.35, "O": 1.5}
    atom, ice = atom_potentials(list(count), implicit_hydrogens=True)
    net = np.dot(list(count.values()), atom - ice)
    assert net / RESIDUE_VOLUME_ANGSTROM3 == pytest.approx(PROTEIN_CONTRAST_VOLT, rel=0.1)


def test_case_of_elements_does_not_matter_and_unknown_ones_are_named():
    assert atom_potentials(["Mg"], False)[0] == atom_potentials(["MG"], False)[0]
    with pytest.raises(InputError, match="XX"):
        atom_potentials(["C", "Xx"], False)
