"""Bonds between residues that no sequence implies, and those that are disulfides."""

from __future__ import annotations

import numpy as np

from structdiff.structure.build import POLYMER_LINK
from structdiff.structure.tables import Structure


def bonds_between_residues(structure: Structure) -> np.ndarray:
    """Rows of the bonds that a sequence does not imply: disulfides, ring closures, links of ligands and glycans."""
    atoms, residues = structure.atoms, structure.residues
    first, second = (atoms.residue[end] for end in (structure.bonds.atom_1, structure.bonds.atom_2))
    polymer = np.isin(structure.chains.kind, list(POLYMER_LINK))[residues.chain]
    names_1, names_2 = atoms.name[structure.bonds.atom_1], atoms.name[structure.bonds.atom_2]
    linked = ((names_1 == "C") & (names_2 == "N")) | ((names_1 == "O3'") & (names_2 == "P"))
    implied = polymer[first] & (second == first + 1) & (residues.chain[first] == residues.chain[second]) & linked
    return np.flatnonzero((first != second) & ~implied)


def are_disulfides(structure: Structure) -> np.ndarray:
    """Which bonds (bond,) are between the sulphurs of two cysteines."""
    sulphur = structure.atoms.name == "SG"
    return sulphur[structure.bonds.atom_1] & sulphur[structure.bonds.atom_2]
