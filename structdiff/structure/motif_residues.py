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
    return {
        ResidueId(
            chain=str(chains.name[residues.chain[row]]),
            number=int(residues.author_seq_id[row]),
            insertion_code=str(residues.insertion_code[row]),
        ): row
        for row in np.flatnonzero(wanted & seen).tolist()
    }


def left_out_atoms(spec: DesignSpec, motif: Structure | None) -> np.ndarray:
    """Positions (atom, 3) in Å of the residues that a crop of the target leaves out."""
    if motif is None or not spec.left_out:
        return np.zeros((0, 3), np.float32)
    rows = motif_residues(motif)
    left = np.isin(motif.atoms.residue, [rows[residue] for residue in spec.left_out])
    return motif.atoms.positions[left & motif.atoms.resolved]
