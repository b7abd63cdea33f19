"""Stereochemistry that a molecule is given and no structure is held to: which it is, and what is said of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from rdkit import Chem

from structdiff.chemistry.components import Component
from structdiff.chemistry.ideal_geometry import chiral_centres
from structdiff.chemistry.open_stereo import has_like_oxygens

_CARBON = 6
_AXES = (Chem.BondStereo.STEREOATROPCW, Chem.BondStereo.STEREOATROPCCW)


class UnheldStereoWarning(UserWarning):
    """A molecule has stereochemistry that its structures are not held to."""


def tell_unheld_stereo(given: Chem.Mol, mol: Chem.Mol, component: Component, called: str) -> None:
    """Warns of hands that structures may have either way.

    given: the molecule with its hydrogens, where they were atoms; mol: the one of the component, without.
    """
    names = component.atom_names.tolist()
    places = [*_deuterated(given, mol, names), *_cumulenes(mol, names), *_axes(mol, names)]
    places += _centres(mol, component, names)
    if places:
        warnings.warn(
            f"{called}: this stereochemistry is not held, and may be drawn either way: {'; '.join(places)}",
            UnheldStereoWarning, stacklevel=3,
        )  # fmt: skip


def _deuterated(given: Chem.Mol, mol: Chem.Mol, names: list[str]) -> Iterator[str]:
    """Centres that heavy hydrogen alone makes such: it is modelled as hydrogen."""
    heavy = [atom.GetIdx() for atom in given.GetAtoms() if atom.GetAtomicNum() != 1]
    if len(heavy) == given.GetNumAtoms():
        return
    stated = {
        place.centeredOn
        for place in Chem.FindPotentialStereo(given)
        if place.type == Chem.StereoType.Atom_Tetrahedral and place.specified == Chem.StereoSpecified.Specified
    }
    still = {place.centeredOn for place in Chem.FindPotentialStereo(mol)}
    for row, index in enumerate(heavy):
        if index in stated and row not in still:
            yield f"{names[row]} (a centre by its isotopes of hydrogen alone)"


def _cumulenes(mol: Chem.Mol, names: list[str]) -> Iterator[str]:
    """Carbons joined by double bonds in a row whose ends have two different neighbours each."""
    near = {atom.GetIdx(): [bond.GetOtherAtomIdx(atom.GetIdx()) for bond in atom.GetBonds()
                            if bond.GetBondType() == Chem.BondType.DOUBLE] for atom in mol.GetAtoms()}  # fmt: skip
    ranks = list(Chem.CanonicalRankAtoms(mol, breakTies=False))
    for start in (row for row, others in near.items() if len(others) == 1):
        chain = [start, near[start][0]]
        while len(near[chain[-1]]) == 2:
            chain.append(next(other for other in near[chain[-1]] if other != chain[-2]))
        ends = (chain[0], chain[1]), (chain[-1], chain[-2])
        if len(chain) > 2 and start < chain[-1] and all(_is_handed(mol, *end, ranks) for end in ends):
            kind = "the hand of an allene" if len(chain) % 2 else "E or Z of a cumulene"
            yield f"{'='.join(names[row] for row in chain)} ({kind})"


def _is_handed(mol: Chem.Mol, end: int, inner: int, ranks: list[int]) -> bool:
    """Whether two different neighbours, or one and a hydrogen, are at a carbon beside that within the chain."""
    atom = mol.GetAtomWithIdx(end)
    others = [ranks[other.GetIdx()] for other in atom.GetNeighbors() if other.GetIdx() != inner]
    return (
        atom.GetAtomicNum() == _CARBON and len(others) + atom.GetTotalNumHs() == 2 and len({*others}) == len(others) > 0
    )


def _axes(mol: Chem.Mol, names: list[str]) -> Iterator[str]:
    for bond in mol.GetBonds():
        if bond.GetStereo() in _AXES:
            yield f"{names[bond.GetBeginAtomIdx()]}-{names[bond.GetEndAtomIdx()]} (the hand about a bond)"


def _centres(mol: Chem.Mol, component: Component, names: list[str]) -> Iterator[str]:
    """Centres whose hand is stated, of elements that no structure is held to.

    Of a carbon that strain flattens the verdict on handedness tells.
    """
    held, stated = chiral_centres(component)[0][:, 0], component.stereo & (component.elements != _CARBON)
    for row in np.setdiff1d(np.flatnonzero(stated), held).tolist():
        if not has_like_oxygens(mol.GetAtomWithIdx(row)):
            yield f"{names[row]} (the arrangement about an atom)"
