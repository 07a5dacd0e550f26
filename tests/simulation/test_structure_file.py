import numpy as np
import pytest
import torch

from mlit.errors import InputError
from mlit.simulation.structure_file import load_structure

PDB = """\
ATOM      1  N   ALA A   1      11.104   6.134  -6.504  1.00 20.00           N
ATOM      2  CA  ALA A   1      11.639   6.071  -5.147  1.00 20.00           C
ATOM      3  C  AALA A   1      12.500   7.300  -4.900  0.50 20.00           C
ATOM      4  C  BALA A   1      12.700   7.200  -4.800  0.50 20.00           C
HETATM    5  O   HOH A   2      20.000  20.000  20.000  1.00 20.00           O
END
"""


def test_npz_with_elements_is_centred_and_displaces_ice(tmp_path):
    xyz = np.array([[0.0, 0, 0], [10, 0, 0], [0, 20, 0]])
    np.savez(tmp_path / "atoms.npz", xyz=xyz, element=np.array(["C", "N", "O"]))
    structure = load_structure(tmp_path / "atoms.npz")
    assert structure.position_angstrom.mean(0).abs().max() < 1e-12
    atom, ice = structure.potential_volt_angstrom3
    assert (atom > 0).all()
    assert (ice < 0).all()
    assert structure.b_factor_angstrom2[0] < structure.b_factor_angstrom2[1]


def test_frame_of_symmetric_molecules_is_kept(tmp_path):
    np.savez(tmp_path / "atoms.npz", xyz=np.array([[1.0, 2, 3]]), element=np.array(["C"]))
    assert load_structure(tmp_path / "atoms.npz", "C2").position_angstrom.tolist() == [[1.0, 2.0, 3.0]]


def test_saved_structure_comes_back(tmp_path, molecule):
    molecule.save(tmp_path / "structure.npz")
    again = load_structure(tmp_path / "structure.npz")
    assert torch.equal(again.position_angstrom, molecule.position_angstrom)
    assert torch.equal(again.potential_volt_angstrom3, molecule.potential_volt_angstrom3)
    assert torch.equal(again.b_factor_angstrom2, molecule.b_factor_angstrom2)


def test_pdb_without_water_and_second_conformers(tmp_path):
    pytest.importorskip("gemmi")
    (tmp_path / "a.pdb").write_text(PDB)
    structure = load_structure(tmp_path / "a.pdb")
    assert structure.atoms == 3
    distance = (structure.position_angstrom[1] - structure.position_angstrom[0]).norm()
    assert float(distance) == pytest.approx(1.460, abs=2e-3)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.npz", None, "no such file"),
        ("broken.npz", b"not a zip", "not a readable .npz"),
        ("empty.pdb", b"END\n", "atoms|readable"),
    ],
)
def test_unusable_files_are_named(tmp_path, name, content, message):
    pytest.importorskip("gemmi")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_structure(tmp_path / name)
    assert name in str(caught.value)


def test_npz_without_elements_is_refused(tmp_path):
    np.savez(tmp_path / "atoms.npz", xyz=np.zeros((2, 3)))
    with pytest.raises(InputError, match="lacks the arrays xyz and element"):
        load_structure(tmp_path / "atoms.npz")
