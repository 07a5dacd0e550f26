"""Molecules from files: a former simulation's ``structure.npz``, coordinates with elements, PDB or mmCIF."""

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from mlit.errors import InputError
from mlit.simulation.scattering import atom_potentials
from mlit.simulation.structure import Structure

_ATOM_B_FACTOR = 30.0
_SOLVENT_B_FACTOR = 93.0  # Fraser's displaced solvent: exp(-π k² v^(2/3)) with v = 20.5 Å³


def load_structure(path: Path, symmetry: str = "C1") -> Structure:
    """Read a molecule and move its centroid to the origin (C1; other groups keep the frame of the file).

    Parameters
    ----------
    path
        ``.npz`` with ``xyz`` (Å) and ``element``, or as written by :meth:`Structure.save`; ``.pdb``, ``.cif``
        and their ``.gz`` through gemmi (optional extra ``sim``).
    symmetry
        Point group of the molecule in the file's frame.

    Raises
    ------
    InputError
        Missing or damaged file, unknown suffix or element, gemmi not installed.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; correct simulation.structure.path")
    if path.suffix == ".npz":
        return _load_npz(path, symmetry)
    return _from_atoms(*_read_with_gemmi(path), symmetry)


def _load_npz(path: Path, symmetry: str) -> Structure:
    try:
        with np.load(path, allow_pickle=False) as archive:
            fields: dict[str, Any] = dict(archive)
    except (OSError, ValueError, BadZipFile) as error:
        raise InputError(f"{path}: not a readable .npz archive ({error}); write it again with numpy.savez") from error
    if "xyz" not in fields or not {"element", "potential"} & set(fields):
        raise InputError(f"{path}: lacks the arrays xyz and element; write both with numpy.savez")
    if "potential" in fields:
        return Structure(
            torch.as_tensor(fields["xyz"], dtype=torch.float64),
            torch.as_tensor(fields["potential"], dtype=torch.float64),
            torch.as_tensor(fields["b_factor"], dtype=torch.float64),
            str(fields["symmetry"]),
        )
    return _from_atoms(np.asarray(fields["xyz"], np.float64), [str(e) for e in fields["element"]], symmetry)


def _read_with_gemmi(path: Path) -> tuple[np.ndarray, list[str]]:
    try:
        import gemmi
    except ImportError as error:
        raise InputError(f"{path}: reading PDB and mmCIF needs gemmi: pip install 'mlit[sim]'") from error
    try:
        model = gemmi.read_structure(str(path))[0]
    except (RuntimeError, ValueError, IndexError) as error:
        raise InputError(f"{path}: not a readable PDB or mmCIF file ({error}); replace it") from error
    atoms = [
        (atom.pos.tolist(), atom.element.name)
        for chain in model
        for residue in chain
        if not residue.is_water()
        for atom in residue
        if atom.altloc in ("\0", "A")
    ]
    if not atoms:
        raise InputError(f"{path}: holds no atoms; give a file with a model in it")
    return np.array([position for position, _ in atoms], np.float64), [element for _, element in atoms]


def _from_atoms(xyz: np.ndarray, elements: list[str], symmetry: str) -> Structure:
    """Atoms and displaced ice as two components, centred where the group allows it."""
    implicit = not any(element.upper() in ("H", "D") for element in elements)
    atom, ice = atom_potentials(elements, implicit)
    centred = xyz - xyz.mean(0) if symmetry.upper() == "C1" else xyz
    return Structure(
        torch.as_tensor(centred, dtype=torch.float64),
        torch.as_tensor(np.stack([atom, -ice]), dtype=torch.float64),
        torch.tensor([_ATOM_B_FACTOR, _SOLVENT_B_FACTOR], dtype=torch.float64),
        symmetry,
    )
