"""Residues of a motif's file of which something was seen, by the depositor's numbers."""

from __future__ import annotations

import numpy as np

from structdiff.spec.design import DesignSpec
from structdiff.spec.segments import ResidueId
from structdiff.structure.tables import ChainKind, Structure


def motif_residues(motif: Structure) -> dict[ResidueId, int]:
    """The polymer residues of a structure of which something was seen, by the depositor's numbering: rows."""
    return _residues_of(motif, (ChainKind.PROTEIN, ChainKind.DNA, ChainKind.RNA))


def ligand_residues(motif: Structure) -> dict[ResidueId, int]:
    """The same for ligands, ions and glycans."""
    return _residues_of(motif, (ChainKind.LIGAND,))


def _residues_of(motif: Structure, kinds: tuple[ChainKind, ...]) -> dict[ResidueId, int]:
    residues, chains = motif.residues, motif.chains
    wanted = np.isin(chains.kind[residues.chain], kinds)
    seen = np.zeros(len(residues), bool)
    np.logical_or.at(seen, motif.atoms.residue, motif.atoms.resolved)
    bonded = _bonded_to_the_one_before(motif)
    return {
        ResidueId(
            chain=str(chains.name[residues.chain[row]]),
            number=int(residues.author_seq_id[row]),
            insertion_code=str(residues.insertion_code[row]),
            bonded=row in bonded,
        ): row
        for row in np.flatnonzero(wanted & seen).tolist()
    }


def _bonded_to_the_one_before(motif: Structure) -> set[int]:
    """Rows of residues that a peptide bond or a phosphate links to the row before, with both atoms seen."""
    atoms, bonds = motif.atoms, motif.bonds
    ends = np.sort([bonds.atom_1, bonds.atom_2], axis=0)
    residue, names = atoms.residue[ends], atoms.name[ends]
    links = ((names[0] == "C") & (names[1] == "N")) | ((names[0] == "O3'") & (names[1] == "P"))
    links &= (residue[1] == residue[0] + 1) & atoms.resolved[ends].all(axis=0)
    return set(residue[1][links].tolist())


def left_out_atoms(spec: DesignSpec, motif: Structure | None) -> np.ndarray:
    """Positions (atom, 3) in Å of the residues that a crop of the target leaves out."""
    if motif is None or not spec.left_out:
        return np.zeros((0, 3), np.float32)
    rows = motif_residues(motif)
    left = np.isin(motif.atoms.residue, [rows[residue] for residue in spec.left_out])
    return motif.atoms.positions[left & motif.atoms.resolved]
