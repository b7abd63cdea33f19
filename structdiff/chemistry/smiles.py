"""The SMILES string of a component, for what takes molecules by no other name."""

from __future__ import annotations

from rdkit import Chem, rdBase

from structdiff.chemistry.components import Component
from structdiff.chemistry.ligands import to_rdkit
from structdiff.errors import InputError


def smiles_of(component: Component) -> str:
    """The string of a component, its own where it has one, with the hand of its centres at their ideal positions.

    Of a component that was made from a file's atoms nobody told the hydrogens: each atom has as many as its bonds leave
    room for. Raises InputError where these bonds are more than an atom can have.
    """
    if component.smiles:
        return component.smiles
    mol = to_rdkit(component)
    if not component.hydrogens.any():
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
