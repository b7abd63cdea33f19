"""Centres and double bonds of a molecule whose hand was not given: which they are, and what is said of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from rdkit import Chem


class OpenStereoWarning(UserWarning):
    """A molecule was given without the hand of some of its centres or double bonds."""


def tell_open_stereo(mol: Chem.Mol, names: list[str], positions: np.ndarray, called: str) -> None:
    """Warns of centres and double bonds whose hand was not given, and says which molecule the conformer is."""
    drawn = _as_drawn(mol, positions)
    places = [
        "=".join(names[row] for row in atoms)
        for atoms in _open_stereo(mol)
        if len(atoms) == 2 or drawn.GetAtomWithIdx(atoms[0]).GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED
    ]
    if places:
        warnings.warn(
            f"{called}: no stereochemistry is given for {', '.join(places)}; it is drawn as {Chem.MolToSmiles(drawn)} "
            "(write the one that is meant)",
            OpenStereoWarning,
            stacklevel=3,
        )


def _open_stereo(mol: Chem.Mol) -> Iterator[tuple[int, ...]]:
    """Rows of the centres (centre,) and of the double bonds (first, second) whose hand may be open."""
    for place in Chem.FindPotentialStereo(mol):
        if place.specified != Chem.StereoSpecified.Unspecified:
            continue
        if place.type == Chem.StereoType.Atom_Tetrahedral:
            if not has_like_oxygens(mol.GetAtomWithIdx(place.centeredOn)):
                yield (place.centeredOn,)
        elif place.type == Chem.StereoType.Bond_Double:
            bond = mol.GetBondWithIdx(place.centeredOn)
            ends = (bond.GetBeginAtom(), bond.GetEndAtom())
            # The hydrogen of an imine or amidine is not modelled: both forms are the same atoms.
            imine = any(atom.GetAtomicNum() == 7 and atom.GetTotalNumHs() for atom in ends)
            if not imine and not any(map(_is_cumulated, ends)):
                yield tuple(atom.GetIdx() for atom in ends)


def _is_cumulated(atom: Chem.Atom) -> bool:
    """Whether two double bonds meet at an atom, as in allenes, whose hand SMILES does not write."""
    return sum(bond.GetBondType() == Chem.BondType.DOUBLE for bond in atom.GetBonds()) > 1


def has_like_oxygens(centre: Chem.Atom) -> bool:
    """Whether a phosphate, sulphate or the like has oxygens that only a proton tells apart."""
    ends = [atom for atom in centre.GetNeighbors() if atom.GetAtomicNum() == 8 and atom.GetDegree() == 1]
    return centre.GetAtomicNum() in (15, 16, 33, 34) and len(ends) > 1


def _as_drawn(mol: Chem.Mol, positions: np.ndarray) -> Chem.Mol:
    """A molecule with the stereochemistry that its positions (atom, 3) in Å show."""
    drawn, conformer = Chem.Mol(mol), Chem.Conformer(mol.GetNumAtoms())
    for row, point in enumerate(positions):
        conformer.SetAtomPosition(row, [float(value) for value in point])
    drawn.RemoveAllConformers()
    drawn.AddConformer(conformer)
    Chem.AssignStereochemistryFrom3D(drawn)
    return drawn
