"""The SMILES string of a component, for what takes molecules by no other name."""

from __future__ import annotations

import numpy as np
from rdkit import Chem, rdBase

from structdiff.chemistry.components import Component
from structdiff.chemistry.rdkit_molecules import to_rdkit
from structdiff.errors import InputError

#: Å: bonds of carbon that are shorter than this are no single ones.
_SHORT = {6: 1.44, 7: 1.40, 8: 1.30}


def orders_are_untold(component: Component) -> bool:
    """Whether all bonds of a component are single, though some are too short for that: its file tells no orders."""
    first, second = component.bonds.T
    if not len(component.bonds) or (component.kekule_orders > 1).any():
        return False
    elements = np.stack([component.elements[first], component.elements[second]])
    length = np.linalg.norm(component.ideal_positions[first] - component.ideal_positions[second], axis=1)
    limit = np.array([_SHORT.get(int(partner), 0.0) for partner in elements.max(0)])
    return bool(((elements.min(0) == 6) & (length < limit)).any())


def smiles_of(component: Component) -> str:
    """The string of a component, its own where it has one, with the hand of its centres at their ideal positions.

    Of a component that was made from a file's atoms nobody told the hydrogens: each atom has as many as its bonds leave
    room for. Raises InputError where these bonds are more than an atom can have.
    """
    if component.smiles:
        return component.smiles
    mol = to_rdkit(component)
    if not component.hydrogens_told:
        for atom in mol.GetAtoms():
            atom.SetNoImplicit(False)
    with rdBase.BlockLogs():
        problems = Chem.DetectChemistryProblems(mol)
        if problems:
            raise InputError(
                f"ligand {component.name} is not a possible molecule with the bonds that its file tells: "
                f"{problems[0].Message()}", key=component.name, allowed="CONECT records, or _chem_comp_bond in mmCIF",
            )  # fmt: skip
        Chem.SanitizeMol(mol)
        Chem.AssignStereochemistryFrom3D(mol)
        return Chem.MolToSmiles(mol)
