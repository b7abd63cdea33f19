"""Molecules as Boltz and BoltzGen keep them, made of the components that structdiff knows; for comparisons."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path

from rdkit import Chem

from structdiff.chemistry.components import component
from structdiff.chemistry.rdkit_molecules import to_rdkit


def write_molecules(codes: Iterable[str], folder: Path) -> None:
    """The molecules of components that are not in a folder yet; UNK is alanine's."""
    Chem.SetDefaultPickleProperties(Chem.PropertyPickleOptions.AllProps)
    for code in codes:
        if not (folder / f"{code}.pkl").exists():
            write_molecule("ALA" if code == "UNK" else code, folder / f"{code}.pkl")


def write_molecule(code: str, path: Path) -> None:
    """The molecule of a component with one conformer, the ideal one."""
    known = component(code)
    mol = to_rdkit(known)
    try:
        Chem.SanitizeMol(mol)
    except Chem.MolSanitizeException:  # haem
        mol.UpdatePropertyCache(strict=False)
        Chem.FastFindRings(mol)
    for atom, name, leaving in zip(mol.GetAtoms(), known.atom_names, known.leaving, strict=True):
        atom.SetProp("name", str(name))
        atom.SetProp("leaving_atom", str(int(leaving)))
    mol.GetConformer().SetProp("name", "Ideal")
    path.write_bytes(pickle.dumps(mol))
