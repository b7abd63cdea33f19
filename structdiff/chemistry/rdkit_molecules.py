"""Components as RDKit's molecules."""

from __future__ import annotations

import numpy as np
from rdkit import Chem

from structdiff.chemistry.components import Component


def perceived(component: Component) -> Chem.Mol:
    """An RDKit molecule without positions, sanitized; where RDKit refuses that, its rings and valences are known."""
    mol = to_rdkit(component, with_positions=False)
    try:
        Chem.SanitizeMol(mol)
    except Chem.MolSanitizeException:
        mol.UpdatePropertyCache(strict=False)
        Chem.FastFindRings(mol)
    return mol


def to_rdkit(component: Component, positions: np.ndarray | None = None, *, with_positions: bool = True) -> Chem.Mol:
    """An RDKit molecule of the heavy atoms, in the component's order, with explicit hydrogen counts.

    positions: (atom, 3) in Å, the ideal ones if None. The molecule is not sanitized.
    """
    mol = Chem.RWMol()
    for row in range(len(component)):
        atom = Chem.Atom(int(component.elements[row]))
        atom.SetFormalCharge(int(component.charges[row]))
        atom.SetNoImplicit(True)
        atom.SetNumExplicitHs(int(component.hydrogens[row]))
        mol.AddAtom(atom)
    orders = (None, Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE)
    for (first, second), order in zip(component.bonds.tolist(), component.kekule_orders.tolist(), strict=True):
        mol.AddBond(first, second, orders[order])
    if with_positions:
        conformer = Chem.Conformer(len(component))
        for row, point in enumerate(component.ideal_positions if positions is None else positions):
            conformer.SetAtomPosition(row, [float(value) for value in point])
        mol.AddConformer(conformer)
    return mol.GetMol()
