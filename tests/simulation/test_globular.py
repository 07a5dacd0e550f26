import numpy as np
import pytest
import torch

from mlit.errors import InputError
from mlit.geometry.symmetry import point_group
from mlit.simulation.globular import generate_globular
from mlit.simulation.scattering import PROTEIN_CONTRAST_VOLT
from mlit.simulation.true_map import map_size, true_density


def test_same_state_same_molecule_and_other_state_another():
    one, same, other = (generate_globular(120.0, "C1", 6.0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.position_angstrom, same.position_angstrom)
    assert torch.equal(one.potential_volt_angstrom3, same.potential_volt_angstrom3)
    assert not torch.allclose(one.position_angstrom, other.position_angstrom)


@pytest.mark.parametrize("symmetry", ["C1", "C3", "D2", "T", "O", "I2"])
def test_points_obey_the_group_and_fit_the_diameter(symmetry):
    molecule = generate_globular(140.0, symmetry, 6.0, np.random.default_rng(3))
    points = molecule.position_angstrom
    assert molecule.diameter_angstrom == pytest.approx(140.0)
    for operator in point_group(symmetry)[:12]:
        assert torch.cdist(points @ operator.T, points).amin(1).max() < 1e-5


@pytest.mark.parametrize("spacing", [4.0, 8.0])
def test_potential_is_that_of_protein_and_some_nucleic_acid(spacing):
    molecule = generate_globular(150.0, "C1", spacing, np.random.default_rng(0), fill=0.4)
    protein = 0.4 * np.pi / 6 * 150.0**3 * PROTEIN_CONTRAST_VOLT
    assert 1.0 < float(molecule.potential_volt_angstrom3.sum()) / protein < 1.5


def test_density_is_spread_over_the_body():
    molecule = generate_globular(200.0, "C1", 6.0, np.random.default_rng(4))
    density = true_density(molecule, map_size(molecule, 8.0), 8.0)
    body = (density > 1.0).sum() * 8.0**3 / (np.pi / 6 * 200.0**3)
    assert 0.25 < body < 0.6
    assert density.max() < 12 * PROTEIN_CONTRAST_VOLT


def test_too_few_beads_are_refused():
    with pytest.raises(InputError, match="lower bead_spacing_angstrom"):
        generate_globular(30.0, "I", 6.0, np.random.default_rng(0))
